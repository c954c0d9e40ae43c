// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// imagePolicy is an ImagePolicy for every image; rest is indented as in spec.
func imagePolicy(name, authority, rest string) string {
	return fmt.Sprintf(`apiVersion: plombproject.github.io/v1
kind: ImagePolicy
metadata:
  name: %s
spec:
  images:
  - glob: "**"
  authorities:
  - name: release
    %s
%s`, name, authority, rest)
}

// byDefault welcomes who signs unless a test says otherwise.
func byDefault(trustRoot string) string {
	text := fmt.Sprintf("keyless: {identities: [{issuer: %q, subject: %q}]", verifytest.Issuer, verifytest.Subject)
	if trustRoot != "" {
		text += ", trustRootRef: " + trustRoot
	}
	return text + "}"
}

func block(text, indent string) string {
	return "|\n" + indent + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+indent) + "\n"
}

func TestNotationSignatures(t *testing.T) {
	notary, stranger := verifytest.NewNotary(t), verifytest.NewNotary(t)
	wants := func(by *verifytest.Notary) string {
		return imagePolicy("notation", "notation:\n      trustedIdentities: ['*']\n      certificates: "+block(verifytest.PEM(by.CA()...), "        "), "")
	}
	for _, mediaType := range []string{verifytest.NotationJWS, verifytest.NotationCOSE} {
		for _, api := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/api=%t", mediaType, api), func(t *testing.T) {
				s := newStand(t)
				if api {
					s.store.WithReferrers()
				}
				img, other := s.unsignedImage("signed"), s.unsignedImage("other")
				sign := func(of digest.Digest) []byte {
					return notary.Notation(t, ocispec.Descriptor{
						MediaType: ocispec.MediaTypeImageIndex, Digest: of, Size: int64(len(s.store.Get(of))),
					}, verifytest.NotationOptions{MediaType: mediaType})
				}
				s.store.AttachNotation(t, img.Index, sign(img.Index), mediaType)
				s.store.AttachNotation(t, other.Index, sign(img.Index), mediaType)

				s.policy = s.load(wants(notary))
				d := s.verify(img.Index)
				require.Equal(t, decision.Allow, d.Verdict, d.Line())
				require.Equal(t, "notation", d.Manifests[0].Signers[0].Format)
				require.NotEmpty(t, d.Manifests[0].Signers[0].X509)
				refuse(t, s.verify(other.Index), decision.Deny, "subject", "")

				s.policy = s.load(wants(stranger))
				refuse(t, s.verify(img.Index), decision.Deny, "notation-untrusted", "")
				s.policy = s.load(keyless(verifytest.Issuer, verifytest.Subject))
				refuse(t, s.verify(img.Index), decision.Deny, "unwanted-form", "")
			})
		}
	}
}

// trustRoot is a TrustRoot document with the keys of a Sigstore.
func trustRoot(t *testing.T, name string, s *verifytest.Sigstore) string {
	t.Helper()
	var root struct {
		CertificateAuthorities, TimestampAuthorities []struct {
			URI       string
			CertChain struct{ Certificates []struct{ RawBytes []byte } }
		}
		Tlogs, Ctlogs []struct {
			BaseURL   string
			PublicKey struct{ RawBytes []byte }
		}
	}
	require.NoError(t, json.Unmarshal(s.TrustedRoot(t, verifytest.RootOptions{}), &root))
	encode := func(kind string, ders ...[]byte) string {
		var text strings.Builder
		for _, der := range ders {
			fmt.Fprintf(&text, "-----BEGIN %s-----\n%s\n-----END %[1]s-----\n", kind, base64.StdEncoding.EncodeToString(der))
		}
		return base64.StdEncoding.EncodeToString([]byte(text.String()))
	}
	keys := map[string]any{}
	for field, group := range map[string][]struct {
		URI       string
		CertChain struct{ Certificates []struct{ RawBytes []byte } }
	}{"certificateAuthorities": root.CertificateAuthorities, "timestampAuthorities": root.TimestampAuthorities} {
		var list []any
		for _, ca := range group {
			var ders [][]byte
			for _, c := range ca.CertChain.Certificates {
				ders = append(ders, c.RawBytes)
			}
			list = append(list, map[string]any{
				"subject": map[string]string{"organization": "test", "commonName": "test"},
				"uri":     ca.URI, "certChain": encode("CERTIFICATE", ders...),
			})
		}
		keys[field] = list
	}
	for field, group := range map[string][]struct {
		BaseURL   string
		PublicKey struct{ RawBytes []byte }
	}{"tLogs": root.Tlogs, "ctLogs": root.Ctlogs} {
		var list []any
		for _, log := range group {
			list = append(list, map[string]any{
				"baseURL": log.BaseURL, "hashAlgorithm": "sha-256", "publicKey": encode("PUBLIC KEY", log.PublicKey.RawBytes),
			})
		}
		keys[field] = list
	}
	data, err := json.Marshal(map[string]any{
		"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot",
		"metadata": map[string]string{"name": name}, "spec": map[string]any{"sigstoreKeys": keys},
	})
	require.NoError(t, err)
	return string(data)
}

// log1 has the signature in a log of the first version, whose ID is the hash of
// its key, as in a TrustRoot document.
var log1 = verifytest.BundleOptions{Log: verifytest.DSSE}

func TestTrustRootDocuments(t *testing.T) {
	s := newStand(t)
	elsewhere := verifytest.NewSigstore(t)
	img := s.store.Image(t, verifytest.ImageOptions{Bundle: func(subjects []provenance.Subject) []byte {
		return elsewhere.Bundle(t, verifytest.Statement(t, subjects), log1)
	}})
	document := trustRoot(t, "elsewhere", elsewhere)

	s.policy = s.load(imagePolicy("named", byDefault("elsewhere"), ""), document)
	d := s.verify(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, "%s\n%v", d.Line(), d.Checks)
	require.NotEqual(t, digest.FromBytes(s.root), d.Basis.TrustRoot, "the machine's own root is not asked")

	s.policy = s.load(imagePolicy("own", byDefault(""), ""), document)
	refuse(t, s.verify(img.Index), decision.Deny, "log-entry", "")

	s.policy = s.load(imagePolicy("absent", byDefault("nowhere"), ""), document)
	refuse(t, s.verify(img.Index), decision.Undecided, "trust-root", "nowhere")
}

// roots is a machine with several trusted roots of its own.
type roots struct {
	verify.OneRoot
	own []*trust.Loaded
	err error
}

func (r roots) Own(time.Time) ([]*trust.Loaded, error) { return r.own, r.err }

func (s *stand) loaded(sigstore *verifytest.Sigstore, opts verifytest.RootOptions) *trust.Loaded {
	s.t.Helper()
	root, err := trust.Parse(sigstore.TrustedRoot(s.t, opts))
	require.NoError(s.t, err)
	return &trust.Loaded{Root: root}
}

func TestSeveralRootsCountEachByItself(t *testing.T) {
	s := newStand(t)
	second := verifytest.NewSigstore(t)
	both := []*trust.Loaded{s.loaded(s.sigstore, verifytest.RootOptions{}), s.loaded(second, verifytest.RootOptions{})}
	signedBy := func(opts verifytest.BundleOptions, by *verifytest.Sigstore) verify.Request {
		img := s.store.Image(t, verifytest.ImageOptions{Bundle: func(subjects []provenance.Subject) []byte {
			return by.Bundle(t, verifytest.Statement(t, subjects), opts)
		}})
		return s.request(img.Index)
	}
	for _, by := range []*verifytest.Sigstore{s.sigstore, second} {
		req := signedBy(verifytest.BundleOptions{}, by)
		req.Trust = roots{own: both}
		d := verify.Verify(context.Background(), req)
		require.Equal(t, decision.Allow, d.Verdict, d.Line())
		require.Len(t, d.Basis.TrustRoots, 2)
	}
	// A certificate of the one in the log of the other is good under neither.
	req := signedBy(verifytest.BundleOptions{LogBy: second}, s.sigstore)
	req.Trust = roots{own: both}
	require.Equal(t, decision.Deny, verify.Verify(context.Background(), req).Verdict)

	// An instance that cannot be used might have vouched for the image.
	req = signedBy(verifytest.BundleOptions{}, second)
	req.Trust = roots{own: both[:1], err: fmt.Errorf("%w: instance second: %w", trust.ErrRoot, trust.ErrStale)}
	refuse(t, verify.Verify(context.Background(), req), decision.Undecided, "trust-stale", "instance second")
	// And need not have for one that is good without it.
	req = signedBy(verifytest.BundleOptions{}, s.sigstore)
	req.Trust = roots{own: both[:1], err: errors.New("another is broken")}
	require.Equal(t, decision.Allow, verify.Verify(context.Background(), req).Verdict)
}

func TestEvidenceInAnotherRepository(t *testing.T) {
	s := newStand(t)
	elsewhere := verifytest.NewStore()
	host := elsewhere.Serve(t)
	img := s.unsignedImage("signed")
	for _, dgst := range []digest.Digest{img.Index, img.Manifests[0]} {
		elsewhere.Add(s.store.Get(dgst), ocispec.MediaTypeImageIndex)
	}
	elsewhere.AttachBundle(t, img.Index, s.sigstore.Bundle(t, cosignStatement(t, img.Index), verifytest.BundleOptions{}))
	s.policy = s.load(imagePolicy("elsewhere", byDefault("")+"\n    source: [{oci: "+host+"/signatures}]", ""))
	req := s.request(img.Index)
	refuse(t, verify.Verify(context.Background(), req), decision.Undecided, "offline", "evidence is in")

	before := len(s.store.Requests())
	req = s.request(img.Index)
	req.Locate = func(repository string) (evidence.Location, error) {
		require.Equal(t, host+"/signatures", repository)
		return evidence.NewRegistry(repository, evidence.RegistryOptions{}), nil
	}
	d := verify.Verify(context.Background(), req)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.Equal(t, len(s.store.Requests())-before+len(elsewhere.Requests()), d.Requests, "requests to both registries are counted")
}

// builtFrom is the provenance of an image with a base image.
func (s *stand) builtFrom(base digest.Digest) func([]provenance.Subject) []byte {
	return func(subjects []provenance.Subject) []byte {
		p := verifytest.Provenance()
		p.BuildDefinition.ResolvedDependencies = []slsa.ResourceDescriptor{{
			URI:    "pkg:docker/" + s.registry + "/base@v1",
			Digest: map[string]string{"sha256": base.Encoded()},
		}}
		return s.sigstore.Bundle(s.t, verifytest.StatementOf(s.t, subjects, p), verifytest.BundleOptions{})
	}
}

func (s *stand) decide(dgst digest.Digest) *decision.Decision {
	s.t.Helper()
	req := s.request(dgst)
	req.Locate = func(repository string) (evidence.Location, error) {
		return evidence.NewRegistry(repository, evidence.RegistryOptions{}), nil
	}
	return verify.Verify(context.Background(), req)
}

func TestBaseImagesMustSatisfyAPolicy(t *testing.T) {
	s := newStand(t)
	s.policy = s.load(
		imagePolicy("app", byDefault(""), "  materials: {baseImages: {policy: base}}\n"),
		strings.Replace(imagePolicy("base", byDefault(""), ""), `"**"`, `"nothing.test/x"`, 1))
	signed, unsigned := s.signed(verifytest.ImageOptions{Content: "base"}), s.unsignedImage("base")
	good := s.store.Image(t, verifytest.ImageOptions{Bundle: s.builtFrom(signed.Index)})
	d := s.decide(good.Index)
	require.Equal(t, decision.Allow, d.Verdict, "%s\n%v", d.Line(), d.Checks)
	bad := s.store.Image(t, verifytest.ImageOptions{Content: "bad", Bundle: s.builtFrom(unsigned.Index)})
	refuse(t, s.decide(bad.Index), decision.Deny, "base-image", "")
	gone := s.store.Image(t, verifytest.ImageOptions{Content: "gone", Bundle: s.builtFrom(digest.FromString("gone"))})
	refuse(t, s.decide(gone.Index), decision.Undecided, "base-image-unknown", "")
}

func TestVerifiedBefore(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	for _, c := range []struct {
		undecided string
		before    bool
		want      decision.Verdict
	}{
		{"deny", true, decision.Undecided},
		{"allow-if-verified-before", false, decision.Undecided},
		{"allow-if-verified-before", true, decision.Allow},
	} {
		s.policy = s.load(imagePolicy("p", byDefault(""), "  undecided: "+c.undecided+"\n"))
		req := s.request(img.Index)
		req.Location = evidence.NewRegistry("127.0.0.1:1/app", evidence.RegistryOptions{})
		req.VerifiedBefore = func(string, digest.Digest) bool { return c.before }
		d := verify.Verify(context.Background(), req)
		require.Equal(t, c.want, d.Verdict, d.Line())
		if c.want == decision.Allow {
			require.Len(t, d.Warnings, 1)
		}
	}
	// Bad evidence is no missing answer.
	s.policy = s.load(imagePolicy("p", byDefault(""), "  undecided: allow-if-verified-before\n"))
	req := s.request(s.unsignedImage("x").Index)
	req.VerifiedBefore = func(string, digest.Digest) bool { return true }
	refuse(t, verify.Verify(context.Background(), req), decision.Deny, "unsigned", "")
}

func TestDecisionsSayWhenTheyCouldChange(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{Bundle: s.sign(verifytest.BundleOptions{SignedAt: time.Now().Add(-30 * time.Minute)})})
	s.policy = s.load(imagePolicy("fresh", byDefault(""), "  freshness: {signature: 1h}\n"))
	d := s.verify(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.NotNil(t, d.ChangesAt)
	require.WithinDuration(t, time.Now().Add(30*time.Minute), *d.ChangesAt, time.Minute)
	req := s.request(img.Index)
	req.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	refuse(t, verify.Verify(context.Background(), req), decision.Deny, "stale", "")
}
