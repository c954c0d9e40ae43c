// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/internal/document"
)

// ErrManyReferrers reports a list of which only the beginning was looked at.
var ErrManyReferrers = fmt.Errorf("%w: too many referrers", limit.ErrTooLarge)

// Referrers finds what refers to the manifest or to an index above it, as OCI
// 1.1 has it: Sigstore bundles (cosign, GitHub's attestations), cosign's
// experimental form, Notary Project signatures.
type Referrers struct {
	Location Location
}

var _ Source = Referrers{}

// Candidates implements Source. Indexes come first: who signs an image of
// several platforms signs the index.
func (r Referrers) Candidates(ctx context.Context, s Subject) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		search := &search{location: r.Location, left: MaxCandidates}
		for _, dgst := range s.digests() {
			// What an index contains cannot refer to it. Some registries take the
			// fallback tag for the digest and answer with the index itself
			// (https://github.com/oras-project/oras-go/issues/1396).
			search.passOver = nil
			if dgst != s.Entry.Digest {
				search.passOver = append(slices.Clone(s.Siblings), s.Entry)
			}
			if !search.referrers(ctx, dgst, yield) {
				return
			}
		}
	}
}

// digests are what a signature of the subject can be attached to.
func (s Subject) digests() []digest.Digest {
	list := slices.Clone(s.Indexes)
	if !slices.Contains(list, s.Entry.Digest) {
		list = append(list, s.Entry.Digest)
	}
	return list
}

// DockerChain finds what refers to an attestation manifest of the subject: who
// signs that manifest signs the statements in it, and each of them names the
// subject.
type DockerChain struct {
	Location Location
}

var _ Source = DockerChain{}

// Candidates implements Source.
func (d DockerChain) Candidates(ctx context.Context, s Subject) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		search := &search{location: d.Location, left: MaxCandidates}
		for i, sibling := range s.attestations() {
			if i == maxAttestations {
				yield(tooMany("index", len(s.attestations()), i))
				return
			}
			chained := func(c Candidate, err error) bool {
				c.Attestations = sibling.Digest
				return yield(c, err)
			}
			if !search.referrers(ctx, sibling.Digest, chained) {
				return
			}
		}
	}
}

// maxAttestations bounds how many attestation manifests of one manifest are
// looked at. BuildKit writes one.
const maxAttestations = 8

// attestations are the attestation manifests of the subject, as the index has
// them.
func (s Subject) attestations() []ocispec.Descriptor {
	var list []ocispec.Descriptor
	for _, d := range s.Siblings {
		if refersTo(d, s.Entry.Digest) {
			list = append(list, d)
		}
	}
	return list
}

func tooMany(where string, has, seen int) (Candidate, error) {
	return Candidate{Where: where}, fmt.Errorf("%w: %s lists %d, %d were looked at", ErrManyReferrers, where, has, seen)
}

// A search goes through lists of referrers.
type search struct {
	location Location
	// left is how many manifests it may still read.
	left int
	// passOver are entries that are no referrers, whoever lists them.
	passOver []ocispec.Descriptor
}

// referrers yields the evidence in the referrers of dgst. It returns false when
// no more is wanted.
func (s *search) referrers(ctx context.Context, dgst digest.Digest, yield func(Candidate, error) bool) bool {
	where := "referrers of " + dgst.String()
	list, err := s.location.Referrers(ctx, dgst)
	if err != nil {
		return yield(Candidate{Where: where}, fmt.Errorf("%s: %w", where, err))
	}
	list = ranked(list, s.passOver)
	for i, d := range list {
		if s.left == 0 {
			yield(tooMany(where, len(list), i))
			return false
		}
		s.left--
		if !fromManifest(ctx, s.location, "referrer "+d.Digest.String(), d.Digest, dgst, yield) {
			return false
		}
	}
	return true
}

// ranked puts first what says it is evidence, and last what says it is
// something else. Registries forget artifact types and make them up, so nothing
// is left out but repetitions, and what is to be passed over.
func ranked(list, passOver []ocispec.Descriptor) []ocispec.Descriptor {
	seen := map[digest.Digest]bool{}
	for _, d := range passOver {
		seen[d.Digest] = true
	}
	ranked := make([]ocispec.Descriptor, 0, len(list))
	for _, d := range list {
		if !seen[d.Digest] {
			seen[d.Digest] = true
			ranked = append(ranked, d)
		}
	}
	slices.SortStableFunc(ranked, func(a, b ocispec.Descriptor) int { return rank(a) - rank(b) })
	return ranked
}

func rank(d ocispec.Descriptor) int {
	t := d.ArtifactType
	switch {
	case document.IsIndexType(d.MediaType):
		return 2
	case typeBundle.MatchString(t), t == typeNotation,
		strings.HasPrefix(t, "application/vnd.dev.cosign.artifact.sig."), strings.HasPrefix(t, "application/vnd.dev.cosign.artifact.att."):
		return 0
	case t == "", strings.HasPrefix(t, "application/vnd.oci."):
		// What is put in the place of a type that was forgotten.
		return 1
	}
	return 2
}

// fromManifest yields the evidence in one manifest; subject is what it has to
// refer to, empty if nothing. It returns false when the caller wants no more.
func fromManifest(ctx context.Context, l Location, where string, dgst, subject digest.Digest, yield func(Candidate, error) bool) bool {
	data, err := document.Fetch(ctx, l, document.Manifest, dgst, document.MaxManifest)
	if err != nil {
		return yield(Candidate{Where: where}, fmt.Errorf("%s: %w", where, err))
	}
	list, err := pieces(data, subject)
	if err != nil {
		return yield(Candidate{Where: where}, fmt.Errorf("%s: %w", where, err))
	}
	for i, p := range list {
		if i == MaxCandidates {
			return yield(Candidate{Where: where}, fmt.Errorf("%w: %s holds %d signatures, %d were looked at", limit.ErrTooLarge, where, len(list), MaxCandidates))
		}
		c, err := p.fetch(ctx, l, where)
		if err != nil {
			c, err = Candidate{Where: where}, fmt.Errorf("%s: %w", where, err)
		}
		if !yield(c, err) {
			return false
		}
	}
	return true
}

// fetch reads a piece of evidence, and converts it if it is of an old form.
func (p piece) fetch(ctx context.Context, l Location, where string) (Candidate, error) {
	if err := p.checkSize(); err != nil {
		return Candidate{}, err
	}
	data, err := document.Fetch(ctx, l, document.Blob, p.layer.Digest, p.max)
	if err != nil {
		return Candidate{}, err
	}
	if p.form != Legacy {
		return Candidate{Where: where, Form: p.form, Digest: document.Digest(data), Bundle: data}, nil
	}
	bundle, err := convert(p.layer.MediaType, data, p.layer.Annotations)
	if err != nil {
		return Candidate{}, fmt.Errorf("layer %s: %w", p.layer.Digest, err)
	}
	return Candidate{Where: where, Form: Legacy, Digest: document.Digest(bundle), Bundle: bundle, Payload: data}, nil
}
