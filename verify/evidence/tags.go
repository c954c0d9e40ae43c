// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"fmt"
	"iter"
)

// CosignTags finds what cosign wrote before it wrote referrers: manifests under
// the tags `sha256-<hex>.sig` and `.att` of the manifest or of an index above
// it, with a layer for each signature
// (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).
//
// What cosign puts under `.sbom` is signed by nobody and is not looked at.
type CosignTags struct {
	Location Location
	// Prefix stands before each tag.
	Prefix string
}

var _ Source = CosignTags{}

// Candidates implements Source.
func (t CosignTags) Candidates(ctx context.Context, s Subject) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		for _, dgst := range s.digests() {
			for _, suffix := range []string{".sig", ".att"} {
				if !t.tagged(ctx, t.Prefix+fallbackTag(dgst)+suffix, yield) {
					return
				}
			}
		}
	}
}

// tagged yields the evidence under one tag. It returns false when the caller
// wants no more.
func (t CosignTags) tagged(ctx context.Context, tag string, yield func(Candidate, error) bool) bool {
	where := "tag " + tag
	dgst, err := t.Location.Tagged(ctx, tag)
	if err != nil {
		return yield(Candidate{Where: where}, fmt.Errorf("%s: %w", where, err))
	}
	if dgst == "" {
		return true
	}
	return fromManifest(ctx, t.Location, where, dgst, "", yield)
}
