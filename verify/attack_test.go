// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// refuse demands a verdict other than allow, for the one right reason.
func refuse(t *testing.T, d *decision.Decision, want decision.Verdict, code, text string) {
	t.Helper()
	require.Equal(t, want, d.Verdict, d.Line())
	require.Equal(t, code, d.Code, d.Line())
	require.Contains(t, d.Reason, text)
}

// TestSpoiltBundles spoils one property of the signature at a time.
func TestSpoiltBundles(t *testing.T) {
	for _, c := range []struct {
		name       string
		opts       verifytest.BundleOptions
		code, text string
	}{
		{"wrong issuer", verifytest.BundleOptions{Issuer: "https://evil.test"}, "identity", "issuer https://evil.test, wanted " + verifytest.Issuer},
		{"wrong subject", verifytest.BundleOptions{Subject: "https://github.com/mallory/demo"}, "identity", "https://github.com/mallory/demo, wanted " + verifytest.Subject},
		{"two signatures", verifytest.BundleOptions{SecondSignature: true}, "envelope", "2 signatures"},
		{"payload type", verifytest.BundleOptions{PayloadType: "application/vnd.plomb.note+json"}, "envelope", "payload type"},
		{"payload swapped", verifytest.BundleOptions{SwapPayload: []byte(`{}`)}, "log-entry", ""},
		{"no SCT", verifytest.BundleOptions{NoSCT: true}, "sct", ""},
		{"no log entry", verifytest.BundleOptions{NoLogEntry: true}, "log-entry", "not enough verified log entries"},
		{"no timestamp", verifytest.BundleOptions{NoTimestamp: true}, "timestamp", ""},
		{"certificate expired when signed", verifytest.BundleOptions{CertificateFrom: time.Now().Add(-30 * time.Minute)}, "certificate", "verifytest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t)
			img := s.signed(verifytest.ImageOptions{Bundle: s.sign(c.opts)})
			refuse(t, s.verify(img.Index), decision.Deny, c.code, c.text)
		})
	}
}

func TestSignatureFromTheFuture(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	req := s.request(img.Index)
	req.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	d := verify.Verify(context.Background(), req)
	refuse(t, d, decision.Undecided, "clock", "set the clock")
	require.NotNil(t, d.ChangesAt)
}

func TestLogKeyNotInForce(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	s.root = s.sigstore.TrustedRoot(t, verifytest.RootOptions{RekorUntil: time.Now().Add(-time.Minute)})
	refuse(t, s.verify(img.Index), decision.Deny, "log-key", "rekor.test")
}

func TestAnotherSigstore(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	s.root = verifytest.NewSigstore(t).TrustedRoot(t, verifytest.RootOptions{})
	refuse(t, s.verify(img.Index), decision.Deny, "log-entry", "")
}

func TestTrustedRootMissingOrBroken(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	good := s.root
	for name, root := range map[string][]byte{
		"empty":       nil,
		"not JSON":    []byte("{"),
		"another":     []byte(`{"mediaType":"text/plain"}`),
		"twice a key": bytes.Replace(good, []byte(`{`), []byte(`{"mediaType":"x",`), 1),
		"no CA":       s.sigstore.TrustedRoot(t, verifytest.RootOptions{Without: "certificateAuthorities"}),
		"no log":      s.sigstore.TrustedRoot(t, verifytest.RootOptions{Without: "tlogs"}),
		"no CT log":   s.sigstore.TrustedRoot(t, verifytest.RootOptions{Without: "ctlogs"}),
	} {
		t.Run(name, func(t *testing.T) {
			s.root = root
			refuse(t, s.verify(img.Index), decision.Undecided, "trust-root", "trusted root")
		})
	}
	req := s.request(img.Index)
	req.Trust = verify.OneRoot(func() (*trust.Root, error) { return trust.Load("/nonexistent") })
	refuse(t, verify.Verify(context.Background(), req), decision.Undecided, "trust-root", "--trusted-root")
	req.Trust = nil
	refuse(t, verify.Verify(context.Background(), req), decision.Undecided, "request", "")
	require.Empty(t, s.store.Requests(), "without trust there is nothing to fetch for")

	s.root = s.sigstore.TrustedRoot(t, verifytest.RootOptions{Without: "timestampAuthorities"})
	refuse(t, s.verify(img.Index), decision.Deny, "timestamp", "")
}

func TestUnsigned(t *testing.T) {
	s := newStand(t)
	img := s.store.Image(t, verifytest.ImageOptions{})
	refuse(t, s.verify(img.Index), decision.Deny, "unsigned", "no signature bundle in the image index")
	refuse(t, s.verify(img.Manifests[0]), decision.Deny, "unsigned", "a bare manifest")
}

func TestBundleOfAnotherImage(t *testing.T) {
	s := newStand(t)
	other := s.signed(verifytest.ImageOptions{Content: "other"})
	bundle := s.sign(verifytest.BundleOptions{})(other.Subjects)
	img := s.signed(verifytest.ImageOptions{Bundle: func([]provenance.Subject) []byte { return bundle }})
	refuse(t, s.verify(img.Index), decision.Deny, "subject", img.Configs[0].String())
}

func TestConfigSwapped(t *testing.T) {
	s := newStand(t)
	good := s.signed(verifytest.ImageOptions{})
	bundle := s.sign(verifytest.BundleOptions{})(good.Subjects)
	evil := s.store.Add([]byte(`{"os":"linux","architecture":"amd64","config":{"Entrypoint":["evil"]}}`), ocispec.MediaTypeImageConfig)
	img := s.store.Image(t, verifytest.ImageOptions{
		Bundle:   func([]provenance.Subject) []byte { return bundle },
		Manifest: func(m *ocispec.Manifest) { m.Config = evil },
	})
	refuse(t, s.verify(img.Index), decision.Deny, "subject", evil.Digest.String())
}

func TestTruncatedAndGarbledBundles(t *testing.T) {
	s := newStand(t)
	good := s.sign(verifytest.BundleOptions{})
	for name, spoil := range map[string]func([]byte) []byte{
		"truncated":      func(b []byte) []byte { return b[:len(b)/2] },
		"twice a key":    func(b []byte) []byte { return bytes.Replace(b, []byte(`{`), []byte(`{"mediaType":"x",`), 1) },
		"unknown field":  func(b []byte) []byte { return bytes.Replace(b, []byte(`{`), []byte(`{"extra":1,`), 1) },
		"trailing bytes": func(b []byte) []byte { return append(b, "{}"...) },
		"other version":  func(b []byte) []byte { return bytes.Replace(b, []byte("v0.3"), []byte("v0.9"), 1) },
		"empty":          func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			img := s.store.Image(t, verifytest.ImageOptions{
				NoAttestation: true,
				Bundle:        func(subjects []provenance.Subject) []byte { return spoil(good(subjects)) },
			})
			d := s.verify(img.Index)
			require.Equal(t, decision.Deny, d.Verdict, d.Line())
			require.Contains(t, []string{"malformed-bundle", "unsigned"}, d.Code)
		})
	}
}

func TestBrokenWrapper(t *testing.T) {
	s := newStand(t)
	for name, spoil := range map[string]func(map[string]any){
		"predicate type": func(w map[string]any) { w["predicateType"] = "https://slsa.dev/provenance/v1" },
		"predicate text": func(w map[string]any) { w["predicate"] = "text" },
		"no predicate":   func(w map[string]any) { delete(w, "predicate") },
	} {
		t.Run(name, func(t *testing.T) {
			img := s.signed(verifytest.ImageOptions{NoAnnotation: true, Wrapper: spoil})
			refuse(t, s.verify(img.Index), decision.Deny, "broken-embedding", "")
		})
	}
}

func TestAttestationManifestThatRefersElsewhere(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{NoAnnotation: true, Index: func(idx *ocispec.Index) {
		idx.Manifests[1].Annotations["vnd.docker.reference.digest"] = digest.FromString("elsewhere").String()
	}})
	refuse(t, s.verify(img.Index), decision.Deny, "unsigned", "")
}

// statement signs a statement that change has had its way with.
func (s *stand) statement(change func(*provenance.Statement)) func([]provenance.Subject) []byte {
	return func(subjects []provenance.Subject) []byte {
		var st provenance.Statement
		require.NoError(s.t, json.Unmarshal(verifytest.Statement(s.t, subjects), &st))
		change(&st)
		payload, err := json.Marshal(st)
		require.NoError(s.t, err)
		return s.sigstore.Bundle(s.t, payload, verifytest.BundleOptions{})
	}
}

func TestStatementsThatProveNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*provenance.Statement)
		code   string
	}{
		{"predicate type", func(st *provenance.Statement) { st.PredicateType = "https://spdx.dev/Document" }, "no-signature"},
		{"statement type", func(st *provenance.Statement) { st.Type = "https://in-toto.io/Statement/v2" }, "statement"},
		{"subject name", func(st *provenance.Statement) { st.Subject[0].Name = "sbom" }, "subject"},
		{"platform lie", func(st *provenance.Statement) { st.Subject[0].Annotations["platform"] = "linux/arm64" }, "platform"},
		{"no platform", func(st *provenance.Statement) { st.Subject[0].Annotations = nil }, "platform"},
		{"half a platform", func(st *provenance.Statement) { st.Subject[0].Annotations["platform"] = "linux" }, "platform"},
		{"other digest beside", func(st *provenance.Statement) {
			st.Subject[0].Digest["sha512"] = st.Subject[0].Digest["sha256"]
			st.Subject[0].Digest["sha256"] = strings.Repeat("0", 64)
		}, "subject"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t)
			img := s.store.Image(t, verifytest.ImageOptions{Bundle: s.statement(c.change)})
			refuse(t, s.verify(img.Index), decision.Deny, c.code, "")
		})
	}
}

func TestPayloadWithARepeatedKey(t *testing.T) {
	s := newStand(t)
	img := s.store.Image(t, verifytest.ImageOptions{Bundle: func(subjects []provenance.Subject) []byte {
		payload := bytes.Replace(verifytest.Statement(t, subjects), []byte(`{`), []byte(`{"subject":[],`), 1)
		return s.sigstore.Bundle(t, payload, verifytest.BundleOptions{})
	}})
	refuse(t, s.verify(img.Index), decision.Deny, "statement", "repeated key")
}

func TestThePlatformIndexOffersAnothersImage(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{Platforms: []string{"linux/arm64", "linux/s390x"}, Index: func(idx *ocispec.Index) {
		idx.Manifests[0].Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
	}})
	refuse(t, s.verify(img.Index), decision.Deny, "platform", "linux/arm64")
}

func TestLazyLayers(t *testing.T) {
	lazy := map[string]func(*ocispec.Manifest){
		"eStargz": func(m *ocispec.Manifest) {
			m.Layers[0].Annotations = map[string]string{"containerd.io/snapshot/stargz/toc.digest": "sha256:00"}
		},
		"zstd:chunked": func(m *ocispec.Manifest) {
			m.Layers[0].Annotations = map[string]string{"io.github.containers.zstd-chunked.manifest-checksum": "sha256:00"}
		},
		"nydus": func(m *ocispec.Manifest) {
			m.Layers[0].MediaType = "application/vnd.oci.image.layer.nydus.blob.v1"
		},
		"SOCI": func(m *ocispec.Manifest) {
			m.Annotations = map[string]string{"com.amazon.soci.index-digest": "sha256:00"}
		},
		"foreign": func(m *ocispec.Manifest) {
			m.Layers[0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
		},
	}
	for name, change := range lazy {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			img := s.signed(verifytest.ImageOptions{Manifest: change})
			refuse(t, s.verify(img.Index), decision.Deny, "lazy-layer", "")

			img = s.store.Image(t, verifytest.ImageOptions{Manifest: change, Bundle: s.withManifestSubject(t, change)})
			d := s.verify(img.Index)
			require.Equal(t, decision.Allow, d.Verdict, "a manifest subject binds everything: %s", d.Line())
		})
	}
}

// withManifestSubject signs for the manifest digest, which is foretold by
// building the same image first.
func (s *stand) withManifestSubject(t *testing.T, change func(*ocispec.Manifest)) func([]provenance.Subject) []byte {
	return func([]provenance.Subject) []byte {
		foretold := s.store.Image(t, verifytest.ImageOptions{Manifest: change})
		return s.sign(verifytest.BundleOptions{})([]provenance.Subject{{
			Name:        provenance.SubjectManifest,
			Digest:      map[string]string{"sha256": foretold.Manifests[0].Encoded()},
			Annotations: map[string]string{"platform": verifytest.Platform},
		}})
	}
}

func TestPolicyThatIsNotAboutTheImage(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	s.policy = s.load(strings.Replace(keyless(verifytest.Issuer, verifytest.Subject), `"**"`, "registry.example/**", 1))
	refuse(t, s.verify(img.Index), decision.Deny, "no-match", s.registry+"/app:v1")
	s.policy = s.load()
	refuse(t, s.verify(img.Index), decision.Deny, "no-policy", "write a ClusterImagePolicy there")
	require.Empty(t, s.store.Requests())
}

func TestAllMatchingPoliciesMustBeSatisfied(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	second := strings.Replace(keyless(verifytest.Issuer, "https://github.com/other"), "name: demo", "name: second", 1)
	s.policy = s.load(keyless(verifytest.Issuer, verifytest.Subject), second)
	refuse(t, s.verify(img.Index), decision.Deny, "identity", "policy second")
}

func TestKeylessURLIsEnforced(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	with := func(url string) string {
		return strings.Replace(keyless(verifytest.Issuer, verifytest.Subject), "keyless:\n", "keyless:\n      url: "+url+"\n", 1)
	}
	s.policy = s.load(with(verifytest.FulcioURL + "/"))
	require.Equal(t, decision.Allow, s.verify(img.Index).Verdict)
	s.policy = s.load(with("https://fulcio.sigstore.dev"))
	refuse(t, s.verify(img.Index), decision.Deny, "authority", "https://fulcio.test")
}

func TestBundleAnnotationOfTheDescriptorGivenIsIgnored(t *testing.T) {
	s := newStand(t)
	img := s.store.Image(t, verifytest.ImageOptions{})
	req := s.request(img.Manifests[0])
	bundle := s.sign(verifytest.BundleOptions{})(img.Subjects)
	req.Descriptor.Annotations = map[string]string{provenance.BundleAnnotation: base64.StdEncoding.EncodeToString(bundle)}
	req.Descriptor.MediaType = ocispec.MediaTypeImageIndex
	refuse(t, verify.Verify(context.Background(), req), decision.Deny, "unsigned", "")
}
