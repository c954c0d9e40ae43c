// SPDX-License-Identifier: Apache-2.0

// Package credential gets the signing identity out of build secrets. The
// frontend has no other way to a secret than to mount it in a container of its
// own image and read what a process there prints; the secret never enters a
// layer, a log line or an argument list.
//
// It asks late: tokens live for minutes, builds may take longer.
package credential

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/solver/pb"
)

// The ids of the build secrets that plomb reads. A build step that mounts one
// of them is refused.
const (
	IDToken        = "plomb-id-token"
	GitHubTokenURL = "plomb-github-token-url"
	GitHubToken    = "plomb-github-token"
	Key            = "plomb-key"
	KeyPassword    = "plomb-key-password"
)

// Reserved lists the ids that no build step may mount.
var Reserved = []string{IDToken, GitHubTokenURL, GitHubToken, Key, KeyPassword}

// Audience is the token audience that Fulcio expects.
const Audience = "sigstore"

var (
	// ErrNone reports that the build was given no signing credential.
	ErrNone = errors.New("no signing credential")
	// ErrToken reports an identity token that cannot be used.
	ErrToken = errors.New("unusable identity token")
	// ErrStolen reports a build step that asks for a signing secret.
	ErrStolen = errors.New("a build step asks for the signing credential")
)

// A Reader returns the build secrets of the given ids. Secrets that the client
// did not provide are missing from the map.
type Reader interface {
	Read(ctx context.Context, ids ...string) (map[string]string, error)
}

// A Source turns secrets into identity tokens.
type Source struct {
	Secrets Reader
	Client  *http.Client // for the request to GitHub
	Now     func() time.Time
}

// Present reports whether a keyless credential was given, without using it.
func (s Source) Present(ctx context.Context) (bool, error) {
	got, err := s.Secrets.Read(ctx, IDToken, GitHubTokenURL, GitHubToken)
	return len(got) > 0, err
}

// A Token is an identity token as its issuer signed it.
type Token struct {
	Raw string
}

// Token returns a fresh identity token. ErrNone means that there is no
// credential at all; ErrToken that there is one, and what is wrong with it.
func (s Source) Token(ctx context.Context) (*Token, error) {
	token, err := s.token(ctx)
	if memory, ok := s.Secrets.(*Memory); ok && errors.Is(err, errExpired) && memory.forget() {
		// The client may have a newer one by now.
		return s.token(ctx)
	}
	return token, err
}

func (s Source) token(ctx context.Context) (*Token, error) {
	got, err := s.Secrets.Read(ctx, IDToken, GitHubTokenURL, GitHubToken)
	if err != nil {
		return nil, fmt.Errorf("read the signing secrets: %w", err)
	}
	token := strings.TrimSpace(got[IDToken])
	switch url, bearer := strings.TrimSpace(got[GitHubTokenURL]), strings.TrimSpace(got[GitHubToken]); {
	case len(got) == 0:
		return nil, fmt.Errorf("%w: pass a build secret: --secret id=%s,src=FILE (an OIDC identity token), or --secret id=%s,env=ACTIONS_ID_TOKEN_REQUEST_URL --secret id=%s,env=ACTIONS_ID_TOKEN_REQUEST_TOKEN on GitHub Actions", ErrNone, IDToken, GitHubTokenURL, GitHubToken)
	case token != "":
	case url != "" && bearer != "":
		if token, err = s.fromGitHub(ctx, url, bearer); err != nil {
			return nil, err
		}
	case url != "" || bearer != "":
		return nil, fmt.Errorf("%w: the secrets %s and %s belong together; one of them is missing or empty", ErrToken, GitHubTokenURL, GitHubToken)
	default:
		return nil, fmt.Errorf("%w: the secret %s is empty; on CI, check that the job may request identity tokens", ErrToken, IDToken)
	}
	return s.parse(token)
}

// MountedBy lists the ids of the secrets that a build operation gets, as files
// or as environment variables.
func MountedBy(op *pb.Op) []string {
	var ids []string
	for _, m := range op.GetExec().GetMounts() {
		if m.SecretOpt != nil {
			ids = append(ids, m.SecretOpt.ID)
		}
	}
	for _, env := range op.GetExec().GetSecretenv() {
		ids = append(ids, env.ID)
	}
	return ids
}

// Guard refuses a build operation that gets a reserved secret: a build step
// must not be able to sign.
func Guard(op *pb.Op) error {
	for _, id := range MountedBy(op) {
		if slices.Contains(Reserved, id) {
			return fmt.Errorf("%w: secret id %q is reserved for the plomb frontend, because whoever reads it can sign in your name; use another id for the step's own secret", ErrStolen, id)
		}
	}
	return nil
}
