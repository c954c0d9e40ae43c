// SPDX-License-Identifier: Apache-2.0

// Package binding answers whether something that has been verified speaks of
// this manifest: it names the config that the manifest names, for the platform
// that the index says, or the manifest itself, or an index above it. What binds
// becomes a claim.
//
// Why the config digest is enough: the manifest names the config, the config
// names the content of every layer by its diff_id, and containerd refuses a
// layer whose content does not hash to it. Lazy-loading snapshotters do not
// check diff_ids at pull, so an image with a layer they would take over needs
// a statement about its manifest.
//
// It reads in-toto statements v1 and v0.1, cosign's simple signing
// (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md) and
// signatures over a bare digest. It does no I/O.
package binding

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/provenance"
)

var (
	// ErrSubject reports a statement about another image.
	ErrSubject = errors.New("signed for another image")

	// ErrPlatform reports a statement that has this image under another
	// platform than the index.
	ErrPlatform = errors.New("signed for another platform")
)

// A Target is the manifest that a statement should be about.
type Target struct {
	Manifest digest.Digest
	Platform ocispec.Platform
	// Document is the manifest itself.
	Document *ocispec.Manifest
	// EntryAnnotations are the annotations on its descriptor in the index.
	EntryAnnotations map[string]string
	// Indexes are the indexes above the manifest.
	Indexes []digest.Digest
	// Attestations is set for what was found beside an attestation manifest:
	// then that manifest is what has to be named (Docker's chain).
	Attestations digest.Digest
	// Blob is set, alone, for an artifact that is no image.
	Blob []digest.Digest
}

func names(s provenance.Subject, dgst digest.Digest) bool {
	return dgst.Algorithm() == digest.SHA256 && s.Digest["sha256"] == dgst.Encoded()
}

// checkPlatform compares what was signed with what the index says: else an
// index could offer the arm64 image to amd64 nodes, or an old platform's image
// under a new platform's name.
func checkPlatform(s provenance.Subject, want ocispec.Platform) error {
	text := s.Annotations[provenance.AnnotationPlatform]
	// A lone "linux" or "arm64" would be completed from the machine we run on.
	if !strings.Contains(text, "/") {
		return fmt.Errorf("%w: its platform annotation is %q, want os/architecture", ErrPlatform, text)
	}
	signed, err := platforms.Parse(text)
	if err != nil {
		return fmt.Errorf("%w: its platform annotation %q cannot be read: %w", ErrPlatform, text, err)
	}
	signed, want = platforms.Normalize(signed), platforms.Normalize(want)
	if signed.OS != want.OS || signed.Architecture != want.Architecture || signed.Variant != want.Variant {
		return fmt.Errorf("%w: signed for %s, the index says %s", ErrPlatform, platforms.Format(signed), platforms.Format(want))
	}
	return nil
}
