// SPDX-License-Identifier: Apache-2.0

package local_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/hack/sigstore/fulcio"
	"github.com/plombproject/plomb/hack/sigstore/idtoken"
	"github.com/plombproject/plomb/hack/sigstore/local"
	"github.com/plombproject/plomb/hack/sigstore/rekor"
)

const (
	githubIssuer = "https://token.actions.githubusercontent.com"
	githubSAN    = "https://github.com/plombproject/demo/.github/workflows/release.yml@refs/heads/main"
)

func TestSignedBundleVerifies(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)

	b, err := signStatement(t, dir, token(t, dir, idtoken.Request{}))
	require.NoError(t, err)
	result, err := verifyBundle(t, dir, b, githubIssuer, githubSAN)
	require.NoError(t, err)

	extensions := result.Signature.Certificate.Extensions
	require.Equal(t, "https://github.com/plombproject/demo", extensions.SourceRepositoryURI)
	require.Equal(t, idtoken.DefaultSHA, extensions.SourceRepositoryDigest)
	require.Equal(t, "github-hosted", extensions.RunnerEnvironment)
	require.Equal(t, "push", extensions.BuildTrigger)
}

// Before Rekor v2, the log was what vouched for the time.
func TestOldLogAloneIsEnough(t *testing.T) {
	dir := t.TempDir()
	server := start(t, dir)
	onlyLogV1 := func(o *sign.BundleOptions) {
		o.TimestampAuthorities = nil
		o.TransparencyLogs = []sign.Transparency{sign.NewRekor(&sign.RekorOptions{BaseURL: server.URL + "/rekor-v1", Version: 1})}
	}
	b, err := signStatement(t, dir, token(t, dir, idtoken.Request{}), onlyLogV1)
	require.NoError(t, err)
	trusted, err := root.NewTrustedRootFromPath(filepath.Join(dir, local.TrustedRootFile))
	require.NoError(t, err)
	verifier, err := verify.NewVerifier(trusted,
		verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1), verify.WithIntegratedTimestamps(1))
	require.NoError(t, err)
	identity, err := verify.NewShortCertificateIdentity(githubIssuer, "", githubSAN, "")
	require.NoError(t, err)
	policy := verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithCertificateIdentity(identity))
	_, err = verifier.Verify(b, policy)
	require.NoError(t, err)

	b.VerificationMaterial.TlogEntries[0].IntegratedTime++
	_, err = verifier.Verify(b, policy)
	require.Error(t, err, "the log did not promise that")
}

func TestChangedBundleIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	// A log of one entry has an empty proof, which nobody can tamper with.
	_, err := signStatement(t, dir, token(t, dir, idtoken.Request{}))
	require.NoError(t, err)
	good, err := signStatement(t, dir, token(t, dir, idtoken.Request{}))
	require.NoError(t, err)
	data, err := good.MarshalJSON()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		spoil   func(b *bundle.Bundle)
		refusal string
	}{
		"payload": {func(b *bundle.Bundle) {
			env := b.GetDsseEnvelope()
			env.Payload = []byte(strings.Replace(string(env.Payload), "image-id", "image-ie", 1))
		}, "verifying inclusion"},
		"entry index": {func(b *bundle.Bundle) {
			b.VerificationMaterial.TlogEntries[0].LogIndex++
		}, "index is beyond size"},
		"proof": {func(b *bundle.Bundle) {
			b.VerificationMaterial.TlogEntries[0].InclusionProof.Hashes[0][0] ^= 1
		}, "verifying inclusion"},
		"checkpoint": {func(b *bundle.Bundle) {
			cp := b.VerificationMaterial.TlogEntries[0].InclusionProof.Checkpoint
			cp.Envelope = strings.Replace(cp.Envelope, "\n2\n", "\n3\n", 1)
		}, "unverified checkpoint signature"},
		"timestamp": {func(b *bundle.Bundle) {
			stamp := b.VerificationMaterial.TimestampVerificationData.Rfc3161Timestamps[0].SignedTimestamp
			stamp[len(stamp)-1] ^= 1
		}, "unable to verify signed timestamps"},
		"no timestamp": {func(b *bundle.Bundle) {
			b.VerificationMaterial.TimestampVerificationData = nil
		}, "threshold not met for verified signed timestamps"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bundle.Bundle{}
			require.NoError(t, b.UnmarshalJSON(data))
			_, err := verifyBundle(t, dir, b, githubIssuer, githubSAN)
			require.NoError(t, err)
			c.spoil(b)
			_, err = verifyBundle(t, dir, b, githubIssuer, githubSAN)
			require.ErrorContains(t, err, c.refusal)
		})
	}
}

// Each part of the trusted root is needed: with that of another instance the
// bundle fails for the reason that belongs to the part.
func TestEveryPartOfTheTrustedRootCounts(t *testing.T) {
	ours, theirs := t.TempDir(), t.TempDir()
	start(t, ours)
	start(t, theirs)
	b, err := signStatement(t, ours, token(t, ours, idtoken.Request{}))
	require.NoError(t, err)
	for part, refusal := range map[string]string{
		"certificateAuthorities": "failed to verify leaf certificate",
		"ctlogs":                 "only able to verify 0 SCT entries",
		"tlogs":                  "not enough verified log entries",
		"timestampAuthorities":   "threshold not met for verified signed timestamps",
	} {
		t.Run(part, func(t *testing.T) {
			trusted := readTrustedRoot(t, ours)
			trusted[part] = readTrustedRoot(t, theirs)[part]
			data, err := json.Marshal(trusted)
			require.NoError(t, err)
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, local.TrustedRootFile), data, 0o600))
			_, err = verifyBundle(t, dir, b, githubIssuer, githubSAN)
			require.ErrorContains(t, err, refusal)
		})
	}
}

func TestRefusedTokens(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	start(t, dir)
	start(t, other)
	unknown, err := local.Token(dir, idtoken.Request{Issuer: "https://ci.example.com"}, time.Now)
	require.ErrorIs(t, err, fulcio.ErrUnknownIssuer)
	valid := strings.Split(token(t, dir, idtoken.Request{}), ".")
	const algNone = "eyJhbGciOiJub25lIn0" // {"alg":"none"}

	for name, token := range map[string]string{
		"expired":        token(t, dir, idtoken.Request{Lifetime: -time.Minute}),
		"unknown issuer": unknown,
		"other audience": token(t, dir, idtoken.Request{Audience: "https://github.com/plombproject"}),
		"foreign key":    token(t, other, idtoken.Request{}),
		"no signature":   valid[0] + "." + valid[1] + ".",
		"alg none":       algNone + "." + valid[1] + ".",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := signStatement(t, dir, token)
			require.ErrorContains(t, err, "There was an error processing the identity token")
		})
	}
}

func TestIdentityOfEveryKindOfIssuer(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	for _, c := range []struct {
		name    string
		request idtoken.Request
		san     string
		// issuer in the certificate, if it is not that of the token
		issuer string
	}{
		{"github", idtoken.Request{}, githubSAN, ""},
		{"github tag", idtoken.Request{Repository: "acme/app", Workflow: ".github/workflows/ship.yml", Ref: "refs/tags/v1"},
			"https://github.com/acme/app/.github/workflows/ship.yml@refs/tags/v1", ""},
		{"github reusable workflow", idtoken.Request{Claims: map[string]any{"job_workflow_ref": "acme/ci/.github/workflows/seal.yml@refs/heads/main"}},
			"https://github.com/acme/ci/.github/workflows/seal.yml@refs/heads/main", ""},
		{"github enterprise", idtoken.Request{Issuer: githubIssuer + "/acme"}, githubSAN, ""},
		{"gitlab", idtoken.Request{Issuer: "https://gitlab.com"}, "https://gitlab.com/plombproject/demo//.gitlab-ci.yml@refs/heads/main", ""},
		{"google", idtoken.Request{Issuer: "https://accounts.google.com", Subject: "ann@example.com"}, "ann@example.com", ""},
		{"sigstore login", idtoken.Request{Issuer: "https://oauth2.sigstore.dev/auth", Subject: "ann@example.com"}, "ann@example.com", "https://accounts.google.com"},
		{"buildkite", idtoken.Request{Issuer: "https://agent.buildkite.com"}, "https://buildkite.com/plombproject/demo", ""},
		{"circleci", idtoken.Request{Issuer: "https://oidc.circleci.com/org/acme"},
			"https://circleci.com/api/v2/projects/", ""},
		{"codefresh", idtoken.Request{Issuer: "https://oidc.codefresh.io"}, "https://g.codefresh.io/plombproject/plombproject/demo:", ""},
		{"kubernetes", idtoken.Request{Issuer: "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c"},
			"https://kubernetes.io/namespaces/plombproject/serviceaccounts/demo", ""},
		{"chainguard", idtoken.Request{Issuer: "https://issuer.enforce.dev", Subject: "abc/def"}, "https://issuer.enforce.dev/abc/def", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := signStatement(t, dir, token(t, dir, c.request))
			require.NoError(t, err)
			issuer := c.issuer
			if issuer == "" {
				issuer = c.request.Issuer
			}
			if issuer == "" {
				issuer = githubIssuer
			}
			san := c.san
			if strings.HasSuffix(san, "/") || strings.HasSuffix(san, ":") {
				// The rest is made of ids; the certificate says which.
				cert, err := b.VerificationContent()
				require.NoError(t, err)
				san = cert.Certificate().URIs[0].String()
				require.True(t, strings.HasPrefix(san, c.san), san)
			}
			_, err = verifyBundle(t, dir, b, issuer, san)
			require.NoError(t, err)
		})
	}
}

func TestRestartKeepsTrust(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sigstore")
	first := start(t, dir)
	old, err := signStatement(t, dir, token(t, dir, idtoken.Request{}))
	require.NoError(t, err)
	trusted, err := os.ReadFile(filepath.Join(dir, local.TrustedRootFile))
	require.NoError(t, err)

	_, err = local.Start(t.Context(), local.Options{Dir: dir, Listen: "127.0.0.1:0", Now: time.Now})
	require.ErrorIs(t, err, rekor.ErrInUse)
	require.NoError(t, first.Close())

	second := start(t, dir)
	require.NotEqual(t, first.URL, second.URL)
	again, err := os.ReadFile(filepath.Join(dir, local.TrustedRootFile))
	require.NoError(t, err)
	require.Equal(t, string(trusted), string(again))
	_, err = verifyBundle(t, dir, old, githubIssuer, githubSAN)
	require.NoError(t, err)

	b, err := signStatement(t, dir, token(t, dir, idtoken.Request{}))
	require.NoError(t, err)
	_, err = verifyBundle(t, dir, b, githubIssuer, githubSAN)
	require.NoError(t, err)
	require.EqualValues(t, 1, b.VerificationMaterial.TlogEntries[0].LogIndex, "the log goes on where it stopped")
}

func TestAddress(t *testing.T) {
	for listen, want := range map[string]error{
		"0.0.0.0:0":       local.ErrNoAddress,
		":0":              local.ErrNoAddress,
		"[::]:0":          local.ErrNoAddress,
		"example.com:0":   local.ErrNoAddress,
		"192.0.2.1:0":     local.ErrNotLoopback,
		"[2001:db8::1]:0": local.ErrNotLoopback,
	} {
		_, err := local.Start(t.Context(), local.Options{Dir: t.TempDir(), Listen: listen, Now: time.Now})
		require.ErrorIs(t, err, want, listen)
	}
	// Nobody has this address, so the system refuses it, not we.
	_, err := local.Start(t.Context(), local.Options{Dir: t.TempDir(), Listen: "192.0.2.1:0", AllowNonLoopback: true, Now: time.Now})
	require.Error(t, err)
	require.NotErrorIs(t, err, local.ErrNotLoopback)
}

func TestSwitchedOffService(t *testing.T) {
	paths := map[local.Service]string{
		local.TokenEndpoint: "/github/token", local.Fulcio: "/fulcio/api/v2/signingCert", local.CTLog: "/ctlog/ct/v1/add-pre-chain",
		local.Log: "/rekor/api/v2/log/entries", local.LogV1: "/rekor-v1/api/v1/log/publicKey", local.TSA: "/tsa/api/v1/timestamp",
	}
	require.Len(t, paths, len(local.Services()))
	for _, off := range local.Services() {
		server := start(t, t.TempDir(), func(o *local.Options) { o.Without = []local.Service{off} })
		for name, path := range paths {
			answer := get(t, server.URL+path, "")
			require.NoError(t, answer.Body.Close())
			require.Equal(t, name == off, answer.StatusCode == http.StatusServiceUnavailable, "%s without %s", name, off)
		}
	}
	_, err := local.Start(t.Context(), local.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Now: time.Now, Without: []local.Service{"rekord"}})
	require.ErrorIs(t, err, local.ErrNoService)
}

// A certificate without its SCT is never handed out.
func TestNoCertificateWithoutCTLog(t *testing.T) {
	dir := t.TempDir()
	start(t, dir, func(o *local.Options) { o.Without = []local.Service{local.CTLog} })
	_, err := signStatement(t, dir, token(t, dir, idtoken.Request{}))
	require.Error(t, err)
}

func TestGitHubTokenEndpoint(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	url, requestToken := githubEnv(t, dir)

	answer := get(t, url+"&audience=sigstore", "Bearer "+requestToken)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	var body struct{ Value string }
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&body))
	b, err := signStatement(t, dir, body.Value)
	require.NoError(t, err)
	_, err = verifyBundle(t, dir, b, githubIssuer, githubSAN)
	require.NoError(t, err)

	lower := get(t, url+"&audience=sigstore", "bearer "+requestToken)
	require.NoError(t, lower.Body.Close())
	require.Equal(t, http.StatusOK, lower.StatusCode)

	for _, authorization := range []string{"", "Bearer ", requestToken, "Basic " + requestToken, "Bearer " + requestToken + "x"} {
		refused := get(t, url+"&audience=sigstore", authorization)
		require.NoError(t, refused.Body.Close())
		require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	}
}

func TestSecretsArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sigstore")
	start(t, dir)
	public := map[string]bool{local.TrustedRootFile: true, local.SigningConfigFile: true}
	seen := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		if !public[d.Name()] {
			seen++
			require.Zero(t, info.Mode().Perm()&0o077, path)
		}
		return nil
	}))
	require.Equal(t, 12, seen, "two folders, six keys, the request token, github.env and the logs")
}

func TestTokenNeedsAnInstance(t *testing.T) {
	_, err := local.Token(t.TempDir(), idtoken.Request{}, time.Now)
	require.ErrorIs(t, err, local.ErrNoKeys)
}

func readTrustedRoot(t *testing.T, dir string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, local.TrustedRootFile))
	require.NoError(t, err)
	var trusted map[string]any
	require.NoError(t, json.Unmarshal(data, &trusted))
	return trusted
}

func githubEnv(t *testing.T, dir string) (url, requestToken string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, local.GitHubEnvFile))
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		switch value = strings.Trim(value, "'"); name {
		case "ACTIONS_ID_TOKEN_REQUEST_URL":
			url = value
		case "ACTIONS_ID_TOKEN_REQUEST_TOKEN":
			requestToken = value
		}
	}
	return url, requestToken
}

func get(t *testing.T, url, authorization string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", authorization)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	return answer
}

// BenchmarkSign is one keyless signature: certificate, entry and timestamp.
func BenchmarkSign(b *testing.B) {
	dir := b.TempDir()
	start(b, dir)
	id := token(b, dir, idtoken.Request{Lifetime: time.Hour})
	for b.Loop() {
		_, err := signStatement(b, dir, id)
		require.NoError(b, err)
	}
}
