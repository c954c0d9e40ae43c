// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/verifytest"
)

var sbom = verifytest.SBOM(`{"spdxVersion":"SPDX-2.3"}`)

// documented is an image whose signed provenance names sbom, and that carries
// the attestations given.
func (s *stand) documented(carried ...verifytest.Attestation) verifytest.Image {
	return s.store.Image(s.t, verifytest.ImageOptions{
		Attestations: func(string) []verifytest.Attestation { return carried },
		Bundle: func(subjects []provenance.Subject) []byte {
			return s.sigstore.Bundle(s.t, verifytest.Statement(s.t, subjects, sbom.Byproduct(slsa.ByproductSBOM, verifytest.Platform)), verifytest.BundleOptions{})
		},
	})
}

func (s *stand) withAttestations(dgst digest.Digest) *decision.Decision {
	s.t.Helper()
	req := s.request(dgst)
	req.Attestations = true
	return verify.Verify(context.Background(), req)
}

func TestAttestations(t *testing.T) {
	s := newStand(t)
	img := s.documented(sbom)
	d := s.withAttestations(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.Len(t, d.Attestations, 1)
	a := d.Attestations[0]
	require.Equal(t, "signed", a.Status, a.Reason)
	require.Equal(t, verifytest.Platform, a.Platform)
	require.Equal(t, slsa.ByproductSBOM, a.Name)
	require.Equal(t, digest.FromBytes(sbom.Predicate), a.Digest)
	require.NotEmpty(t, a.Blob)
	require.Equal(t, 4, d.Requests, "index and manifest, attestation manifest and SBOM")
}

// A node fetches no attestation, however many there are.
func TestANodeFetchesNoAttestations(t *testing.T) {
	s := newStand(t)
	d := s.verify(s.documented(sbom, sbom).Index)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.Empty(t, d.Attestations)
	require.Equal(t, 2, d.Requests)
	require.Len(t, s.store.Requests(), 2)
}

// A swapped SBOM does not make the image another one.
func TestSwappedSBOM(t *testing.T) {
	s := newStand(t)
	d := s.withAttestations(s.documented(verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","name":"evil\n"}`)).Index)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.Equal(t, "unsigned missing", attestationStatuses(d))
	require.Contains(t, d.Attestations[0].Reason, digest.FromBytes(sbom.Predicate).String())
}

func attestationStatuses(d *decision.Decision) string {
	var list []string
	for _, a := range d.Attestations {
		list = append(list, a.Status)
	}
	return strings.Join(list, " ")
}

// For an image that is not allowed nobody vouches, and nothing is fetched.
func TestNoAttestationsOfADeniedImage(t *testing.T) {
	s := newStand(t)
	s.policy = s.load(keyless(verifytest.Issuer, "https://github.com/other"))
	d := s.withAttestations(s.documented(sbom).Index)
	refuse(t, d, decision.Deny, "identity", "")
	require.Empty(t, d.Attestations)
}

// What a stranger signed vouches for nothing, though the image be allowed for
// other reasons.
func TestAttestationsOfSomebodyElse(t *testing.T) {
	s := newStand(t)
	s.policy = s.load(keyless(verifytest.Issuer, "https://github.com/other") + "  mode: warn\n")
	d := s.withAttestations(s.documented(sbom).Index)
	require.Equal(t, decision.Allow, d.Verdict)
	require.Equal(t, "unsigned", attestationStatuses(d))
}

func TestAttestationsThatCannotBeListed(t *testing.T) {
	s := newStand(t)
	img := s.store.Image(t, verifytest.ImageOptions{Bundle: s.sign(verifytest.BundleOptions{}), Index: func(idx *ocispec.Index) {
		s.store.Fail(idx.Manifests[1].Digest, 503)
	}})
	d := s.withAttestations(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.Equal(t, "unknown", attestationStatuses(d))
	require.Contains(t, d.Attestations[0].Reason, "registry unreachable")
}

func TestExamine(t *testing.T) {
	s := newStand(t)
	img := s.documented(sbom)
	d, vouched := verify.Examine(context.Background(), s.request(img.Index))
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.Len(t, vouched, 1)
	require.Equal(t, img.Manifests[0], vouched[0].Manifest.Entry.Digest)
	require.Equal(t, provenance.PredicateSLSA1, vouched[0].Statement.PredicateType)
	require.Equal(t, verifytest.Subject, vouched[0].Signer.Subject)

	s.policy = s.load(keyless(verifytest.Issuer, "https://github.com/other"))
	_, vouched = verify.Examine(context.Background(), s.request(img.Index))
	require.Empty(t, vouched)
}

// Two policies that want two signers have no statement in common.
func TestExamineWantsOneSignerForAllPolicies(t *testing.T) {
	s := newStand(t)
	const second = "https://github.com/second/signer"
	subjects := s.signed(verifytest.ImageOptions{}).Subjects
	img := s.store.Image(t, verifytest.ImageOptions{Bundle: s.sign(verifytest.BundleOptions{}), Index: func(idx *ocispec.Index) {
		idx.Manifests[0].Annotations[provenance.BundleAnnotation] = base64.StdEncoding.EncodeToString(s.sign(verifytest.BundleOptions{Subject: second})(subjects))
	}})
	other := strings.Replace(keyless(verifytest.Issuer, second), "name: demo", "name: second", 1)
	s.policy = s.load(keyless(verifytest.Issuer, verifytest.Subject), other)
	d, vouched := verify.Examine(context.Background(), s.request(img.Index))
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.Empty(t, vouched)

	s.policy = s.load(keyless(verifytest.Issuer, verifytest.Subject), other+"  mode: warn\n")
	_, vouched = verify.Examine(context.Background(), s.request(img.Index))
	require.Len(t, vouched, 1, "a policy that only warns keeps nobody out")
	require.Equal(t, verifytest.Subject, vouched[0].Signer.Subject)
}
