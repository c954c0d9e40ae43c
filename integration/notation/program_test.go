// SPDX-License-Identifier: Apache-2.0

//go:build integration

package notation

import (
	"crypto"
	"crypto/elliptic"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/pkg/imageverifier/bindir"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/verify/inspect"
)

// containerd runs plomb-verifier, which finds the trust stores by PLOMB_NOTATION
// and needs no trusted root of Sigstore's.
func TestUnderContainerd(t *testing.T) {
	for _, p := range places()[:2] {
		t.Run(p.name, func(t *testing.T) {
			s := newScene(t, p.host())
			s.sign(t, s.signer(t), s.ref())
			unsigned := pushTo(t, s.repo, "unsigned")
			bin := harness.Dir(t)
			require.NoError(t, os.Symlink(filepath.Join(on.Bin, "plomb-verifier"), filepath.Join(bin, "plomb-verifier")))
			t.Setenv("PLOMB_POLICY", strict().byStores(t))
			t.Setenv("PLOMB_NOTATION", s.folder())
			t.Setenv("PLOMB_TRUST", harness.Dir(t))
			t.Setenv("PLOMB_HOSTS", harness.Dir(t))
			state := harness.Dir(t)
			t.Setenv("PLOMB_STATE", state)
			t.Setenv("PLOMB_SOCKET", filepath.Join(state, "agent.sock"))
			t.Setenv("PLOMB_NODE_CONFIG", filepath.Join(state, "node.yaml"))
			verifier := bindir.NewImageVerifier(&bindir.Config{
				BinDir: bin, MaxVerifiers: 10, PerVerifierTimeout: 10e9, /* ns; its type is internal */
			})
			ask := func(dgst digest.Digest) (bool, string) {
				desc := ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageIndex, Digest: dgst, Size: 1}
				judgement, err := verifier.VerifyImage(t.Context(), s.repo.Ref("v1"), desc)
				require.NoError(t, err)
				return judgement.OK, judgement.Reason
			}
			ok, reason := ask(s.index)
			require.True(t, ok, reason)
			require.Contains(t, reason, "signed by "+distinguishedName("signer"))
			ok, reason = ask(unsigned.index)
			require.False(t, ok, reason)
			require.Contains(t, reason, "unsigned")

			// The trust stores of somebody else.
			stranger := newScene(t, p.host())
			t.Setenv("PLOMB_NOTATION", stranger.folder())
			ok, reason = ask(s.index)
			require.False(t, ok, reason)
			require.Contains(t, reason, "in no trust store of type ca")
		})
	}
}

// inspect shows what signatures say of themselves, and judges nobody.
func TestInspect(t *testing.T) {
	t.Parallel()
	for _, p := range places()[:2] {
		s := newScene(t, p.host())
		s.sign(t, s.signer(t), s.ref())
		s.sign(t, newAuthority(t, "Somebody Else").issue(t, "stranger", ecKey(t, elliptic.P256())), s.ref(), "--signature-format", "cose")
		out := harness.Command{On: on, Name: "plomb", Args: []string{"inspect", "--output", "json", s.ref()}}.Must(t).Out
		var report inspect.Report
		require.NoError(t, json.Unmarshal([]byte(out), &report))
		require.Len(t, report.Platforms, 1)
		names := map[string]string{}
		for _, b := range report.Platforms[0].Bundles {
			require.Empty(t, b.Error)
			require.Equal(t, s.index, b.Signs)
			names[b.Format] = b.X509
		}
		require.Equal(t, map[string]string{
			"application/jose+json": distinguishedName("signer"), "application/cose": distinguishedName("stranger"),
		}, names)
	}
}

// Where the manifest of the platform was signed, the image is, whether it is
// asked for by that or by an index or tag above it.
func TestParts(t *testing.T) {
	t.Parallel()
	s := newScene(t, withAPI)
	s.sign(t, s.signer(t), s.at(s.manifest))
	for ref, requests := range map[string]int{s.ref(): 7, s.at(s.manifest): 5, s.repo.Ref("v1"): 8} {
		d, status := s.verified(t, strict().byStores(t), ref)
		require.Equal(t, allowed, status, d.Reason)
		require.Equal(t, "manifest", signerOf(t, d).Scope)
		require.Equal(t, requests, d.Requests, ref)
	}
	s.trustPolicy(t, strict())
	require.True(t, s.accepts(t, s.at(s.manifest)))
	require.False(t, s.accepts(t, s.ref()), "notation looks at what it is asked about alone")
}

// An OCI layout has signatures as a registry without the API has.
func TestLayout(t *testing.T) {
	t.Parallel()
	s := newScene(t, on.Registry)
	dir := s.layout(t)
	s.sign(t, s.signer(t), dir+"@"+s.index.String(), "--oci-layout")
	ref := "oci-layout:" + dir + ":v1"
	d, status := s.verified(t, strict().byStores(t), ref)
	require.Equal(t, allowed, status, d.Reason)
	signerOf(t, d)
	d, status = newScene(t, on.Registry).verified(t, strict().byStores(t), ref)
	require.Equal(t, denied, status, d.Reason)
}

// Conditions see what a Notary Project signature says, as far as it is proven.
func TestConditions(t *testing.T) {
	t.Parallel()
	s := newScene(t, on.Registry)
	s.store(t, "tsa", "stand", stampRoot(t))
	who := s.signer(t)
	s.sign(t, who, s.ref(), s.stamped(t)...)
	bare, strange := pushTo(t, s.repo, "bare"), pushTo(t, s.repo, "strange")
	s.sign(t, who, bare.ref())
	s.sign(t, newAuthority(t, "Acme Root").issue(t, "signer", ecKey(t, elliptic.P256())), strange.ref())

	rule := func(cel string) map[string]any {
		return map[string]any{"rules": []any{map[string]any{"name": "rule", "cel": cel}}}
	}
	name := rule(`signature.x509 == "` + distinguishedName("signer") + `"`)
	fresh := map[string]any{"freshness": map[string]any{"signature": "1h"}}
	serial := map[string]any{"deny": map[string]any{"serials": []any{map[string]any{"serial": who.chain[0].SerialNumber.Text(16)}}}}
	here := map[string]any{"signedIdentity": map[string]any{"type": "matchRepository"}}
	for _, c := range []struct {
		name      string
		question  statement
		condition map[string]any
		of        image
		want      int
		code      string
	}{
		{"young, by its timestamp", strict("tsa:stand"), fresh, s.image, allowed, ""},
		{"no timestamp", strict(), fresh, bare, denied, "no-time"},
		{"a timestamp that the policy does not trust", strict(), fresh, s.image, denied, "no-time"},
		{"time in a rule", strict("tsa:stand"), rule(`now - signature.signedAt < duration("1h")`), s.image, allowed, ""},
		{"name", strict(), name, s.image, allowed, ""},
		{"another name", strict(), rule(`signature.x509.contains("CN=ann")`), s.image, denied, "rule"},
		{"a name that a stranger gives himself", leveled("audit"), name, strange, denied, "rule"},
		{"a certificate that is denied", strict(), serial, s.image, denied, "denied"},
		{"no name of an image is signed along", strict(), here, s.image, denied, "no-signed-name"},
	} {
		policy := c.question.policy(t, map[string]any{"trustStores": c.question.Stores}, c.condition)
		d, status := s.verified(t, policy, c.of.ref())
		require.Equal(t, c.want, status, "%s: %s", c.name, d.Reason)
		require.Equal(t, c.code, d.Code, "%s: %s", c.name, d.Reason)
	}
}

// The largest keys of the specification, and an RSA key that is too small for
// it: notation does not sign with that.
func TestOtherKeys(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]crypto.Signer{"RSA-4096": rsaKey(t, 4096), "EC-521": ecKey(t, elliptic.P521())} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, on.Registry)
			s.sign(t, s.acme.issue(t, name, key), s.ref())
			d, plomb, notation := s.ask(t, strict(), s.ref())
			require.Equal(t, allowed, plomb, d.Reason)
			require.True(t, notation)
			require.Equal(t, distinguishedName(name), signerOf(t, d).X509)
		})
	}
	s := newScene(t, on.Registry)
	s.key(t, s.acme.issue(t, "RSA-1024", rsaKey(t, 1024)))
	p := s.run(t, "sign", "--insecure-registry", s.ref())
	require.NotZero(t, p.Status, p.All)
	require.Contains(t, p.All, "1024")
}
