// SPDX-License-Identifier: Apache-2.0

// Package credential gets the signing identity out of build secrets. The
// frontend has no other way to a secret than to mount it in a container of its
// own image and read what a process there prints; the secret never enters a
// layer, a log line or an argument list.
//
// It asks late: tokens live for minutes, builds may take longer.
//
// A signing key does not even leave that container: what the process prints of
// it is the public half, and later the signature over a digest.
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
	Certificate    = "plomb-certificate" // refused: decision 0014
)

// Reserved lists the ids that no build step may mount.
var Reserved = append(slices.Clone(tokens), keys...)

var (
	tokens = []string{IDToken, GitHubTokenURL, GitHubToken}
	keys   = []string{Key, KeyPassword, Certificate}
)

// Audience is the token audience that Fulcio expects.
const Audience = "sigstore"

var (
	// ErrNone reports that the build was given no signing credential.
	ErrNone = errors.New("no signing credential")
	// ErrToken reports an identity token that cannot be used.
	ErrToken = errors.New("unusable identity token")
	// ErrKey reports a signing key that cannot be used.
	ErrKey = errors.New("unusable signing key")
	// ErrAmbiguous reports a build that was given a token and a key.
	ErrAmbiguous = errors.New("two signing credentials")
	// ErrStolen reports a build step that asks for a signing secret.
	ErrStolen = errors.New("a build step asks for the signing credential")
)

// Given is what the client provided of the secrets that were asked for.
type Given struct {
	Tokens map[string]string `json:"tokens,omitempty"` // by id
	Key    *PublicKey        `json:"key,omitempty"`    // nil: no secret of a key's
}

// A PublicKey is what is told of a signing key.
type PublicKey struct {
	SPKI  []byte `json:"spki,omitempty"`  // DER, SubjectPublicKeyInfo of RFC 5280
	Fault string `json:"fault,omitempty"` // why it cannot be used; "" if it can
}

// A Reader asks for the build secrets of the given ids.
type Reader interface {
	Read(ctx context.Context, ids ...string) (*Given, error)
}

// A Kind is what a build may be signed with.
type Kind int

// The kinds of credentials. Secrets of another kind are not even asked for.
const (
	AnyKind Kind = iota
	TokenKind
	KeyKind
)

func (k Kind) secrets() []string {
	switch k {
	case TokenKind:
		return tokens
	case KeyKind:
		return keys
	}
	return Reserved
}

// A Source turns secrets into what signs.
type Source struct {
	Secrets Reader
	Kind    Kind
	Client  *http.Client // for the request to GitHub
	Now     func() time.Time
}

// Look reports which credential was given, without using it: a token, or the
// public half of a key. Errors are ErrAmbiguous for both and ErrKey for a key
// that will not do.
func (s Source) Look(ctx context.Context) (token bool, key *PublicKey, err error) {
	got, err := s.Secrets.Read(ctx, s.Kind.secrets()...)
	if err != nil {
		return false, nil, err
	}
	token, key = len(got.Tokens) > 0, got.Key
	switch {
	case token && key != nil:
		return false, nil, fmt.Errorf("%w: the build was given an identity token and the secret %s or one that belongs to it: say which to use with PLOMB_SIGN=keyless or PLOMB_SIGN=key", ErrAmbiguous, Key)
	case key != nil && key.Fault != "":
		return false, nil, fmt.Errorf("%w: %s", ErrKey, key.Fault)
	}
	return token, key, nil
}

// Missing is the error for a build that has to be signed and was given nothing
// of the kind.
func (s Source) Missing() error {
	if s.Kind == KeyKind {
		return fmt.Errorf("%w: pass a build secret: --secret id=%s,src=FILE (a private key in PEM), and --secret id=%s,src=FILE if it is encrypted", ErrNone, Key, KeyPassword)
	}
	return fmt.Errorf("%w: pass a build secret: --secret id=%s,src=FILE (an OIDC identity token), or --secret id=%s,env=ACTIONS_ID_TOKEN_REQUEST_URL --secret id=%s,env=ACTIONS_ID_TOKEN_REQUEST_TOKEN on GitHub Actions", ErrNone, IDToken, GitHubTokenURL, GitHubToken)
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
	given, err := s.Secrets.Read(ctx, s.Kind.secrets()...)
	if err != nil {
		return nil, fmt.Errorf("read the signing secrets: %w", err)
	}
	got := given.Tokens
	token := strings.TrimSpace(got[IDToken])
	switch url, bearer := strings.TrimSpace(got[GitHubTokenURL]), strings.TrimSpace(got[GitHubToken]); {
	case len(got) == 0:
		return nil, s.Missing()
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
