// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/slsa"
)

// PredicateSPDX is the predicate type of SBOMs.
const PredicateSPDX = "https://spdx.dev/Document"

const mediaTypeInToto = "application/vnd.in-toto+json"

// An Attestation is a statement beside an image.
type Attestation struct {
	PredicateType string
	Predicate     []byte
	// Statement takes the place of a good statement around Predicate.
	Statement []byte
	// MediaType takes the place of the right one.
	MediaType string
}

// SBOM is an attestation with an SPDX document.
func SBOM(document string) Attestation {
	return Attestation{PredicateType: PredicateSPDX, Predicate: []byte(document)}
}

// Byproduct is how the provenance names the attestation for a platform.
func (a Attestation) Byproduct(name, platform string) slsa.ResourceDescriptor {
	return slsa.ResourceDescriptor{
		Name: name, MediaType: "application/spdx+json",
		Digest:      map[string]string{"sha256": digest.FromBytes(a.Predicate).Encoded()},
		Annotations: map[string]any{slsa.AnnotationPredicateType: a.PredicateType, slsa.AnnotationPlatform: platform},
	}
}

// statement is how BuildKit stores the attestation.
func (a Attestation) statement(t testing.TB, subject digest.Digest) []byte {
	t.Helper()
	if a.Statement != nil {
		return a.Statement
	}
	head, err := json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v0.1",
		"predicateType": a.PredicateType,
		"subject":       []any{map[string]any{"name": "pkg:docker/app", "digest": map[string]string{"sha256": subject.Encoded()}}},
	})
	require.NoError(t, err)
	// The predicate as it is, though it be no JSON.
	return append(append(bytes.TrimSuffix(head, []byte("}")), `,"predicate":`...), append(bytes.Clone(a.Predicate), '}')...)
}

func (a Attestation) mediaType() string {
	if a.MediaType != "" {
		return a.MediaType
	}
	return mediaTypeInToto
}
