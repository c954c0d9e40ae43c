// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/verifytest"
)

// storeDocumented makes images for two platforms: app:documented carries an
// SBOM that its signed provenance names, and BuildKit's own provenance;
// app:swapped carries another SBOM than the one it names.
func storeDocumented(t *testing.T, store *verifytest.Store, sigstore *verifytest.Sigstore) digest.Digest {
	t.Helper()
	signed := func(platform string) verifytest.Attestation {
		return verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","name":"` + platform + `"}`)
	}
	image := func(content string, sbom func(platform string) verifytest.Attestation) digest.Digest {
		return store.Image(t, verifytest.ImageOptions{
			Content: content, Platforms: []string{"linux/amd64", "linux/arm64"},
			Attestations: func(platform string) []verifytest.Attestation {
				return []verifytest.Attestation{sbom(platform), {PredicateType: "https://slsa.dev/provenance/v0.2", Predicate: []byte(`{}`)}}
			},
			Bundle: func(subjects []provenance.Subject) []byte {
				return sigstore.Bundle(t, verifytest.Statement(t, subjects,
					signed("linux/amd64").Byproduct(slsa.ByproductSBOM, "linux/amd64"),
					signed("linux/arm64").Byproduct(slsa.ByproductSBOM, "linux/arm64")), verifytest.BundleOptions{})
			},
		}).Index
	}
	documented := image("documented", signed)
	store.Tag("documented", documented)
	store.Tag("swapped", image("swapped", func(string) verifytest.Attestation {
		return verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","name":"evil\u001b[31m"}`)
	}))
	return documented
}
