// SPDX-License-Identifier: Apache-2.0

package provenance

const (
	// PredicateEmbeddedBundle is the predicate type of the in-toto statement,
	// in the attestation manifest of each platform, whose predicate is a
	// Sigstore bundle. The wrapper itself is unsigned and proves nothing: only
	// the bundle inside does. BuildKit refuses SLSA predicate types from a
	// frontend, hence a type of our own.
	PredicateEmbeddedBundle = "https://plombproject.github.io/embedded-bundle/v1"

	// PredicateSPDX is the predicate type of an SPDX document in JSON.
	PredicateSPDX = "https://spdx.dev/Document"

	// BundleAnnotation holds the same bundle, base64 (standard, padded), on
	// the platform's descriptor in the image index: a short cut that saves a
	// verifier the attestation manifest.
	BundleAnnotation = "io.github.plombproject.bundle"

	// MaxBundleSize bounds a bundle, in bytes, before it is read (16 MiB).
	MaxBundleSize = 16 << 20
)
