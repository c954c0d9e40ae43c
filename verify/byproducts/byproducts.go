// SPDX-License-Identifier: Apache-2.0

// Package byproducts answers which of the attestations beside an image the
// signed provenance vouches for: SBOMs travel in the image index as unsigned
// in-toto statements, and the provenance names each by the SHA-256 of its
// predicate's bytes (docs/build-type.md, "Byproducts").
//
// It follows BuildKit's attestation storage
// (https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md)
// and the in-toto Statement v1. It verifies no signature: whoever calls it has
// verified the provenance, or says that it has not. It reads no SBOM.
package byproducts

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/internal/document"
)

const (
	// MaxStatement bounds one attestation, in bytes: BuildKit refuses to
	// export one of more than 80 MiB, and a MiB is for the subjects.
	MaxStatement = 81 << 20

	// MaxTotal bounds all attestations of one platform together, in bytes.
	MaxTotal = 256 << 20

	// MaxAttestations bounds how many attestations of one platform are looked
	// at, and MaxManifests in how many attestation manifests. BuildKit writes
	// one manifest with a handful.
	MaxAttestations = 64
	MaxManifests    = 8
)

// ErrTooMany reports more attestations than anybody needs.
var ErrTooMany = errors.New("too many attestations")

// Status is what the provenance says of an attestation. The zero value is none
// of them.
type Status string

const (
	// Signed: the provenance names these very bytes, for this platform and
	// predicate type.
	Signed Status = "signed"
	// Unsigned: it does not.
	Unsigned Status = "unsigned"
	// Missing: the provenance names it, and it is not there.
	Missing Status = "missing"
	// Unknown: it could not be read.
	Unknown Status = "unknown"
)

// A Subject is the image manifest that attestations are wanted for.
type Subject struct {
	Manifest digest.Digest
	Platform ocispec.Platform
	// Siblings are all entries of the index that the manifest stands in.
	Siblings []ocispec.Descriptor
}

// An Attestation is one statement beside the image, or one that should be.
type Attestation struct {
	Status Status
	// Reason is why it is not signed.
	Reason string
	// PredicateType is what the descriptor says; for Missing, the provenance.
	PredicateType string
	// Name and MediaType are those of the byproduct; empty for Unsigned.
	Name, MediaType string
	// Predicate is the SHA-256 of the predicate's bytes as stored, empty if
	// they were not looked at; for Missing, what it should be.
	Predicate digest.Digest
	// Layer is the blob that holds the statement, empty for Missing. Size is
	// the blob's, as the registry says.
	Layer digest.Digest
	Size  int64
}

// Check lists the attestations of an image manifest, in the order of the index,
// and then the byproducts that should be among them and are not. p is the
// provenance of the image; nil vouches for nothing. An attestation is fetched
// only if a byproduct could be it.
//
// The embedded bundle is left out: it is the signature itself.
func Check(ctx context.Context, store document.Store, s Subject, p *slsa.Provenance) ([]Attestation, error) {
	list, _, err := Find(ctx, store, s, p, func(Attestation) bool { return false })
	return list, err
}

// Find is Check for somebody who wants to read one of them: it returns the
// predicate of the signed attestation that want takes, nil if there is none. Of
// several it is the one that the provenance names first: their order in the
// index is the registry's.
func Find(ctx context.Context, store document.Store, s Subject, p *slsa.Provenance, want func(Attestation) bool) ([]Attestation, []byte, error) {
	list, found, err := FindAll(ctx, store, s, p, want)
	if len(found) == 0 {
		return list, nil, err
	}
	return list, found[0], err
}

// FindAll is Find for all that want takes, in the order of the provenance.
func FindAll(ctx context.Context, store document.Store, s Subject, p *slsa.Provenance, want func(Attestation) bool) ([]Attestation, [][]byte, error) {
	c := &check{store: store, budget: MaxTotal, named: named(s.Platform, p)}
	entries, err := List(ctx, store, s)
	if err != nil {
		return nil, nil, err
	}
	found := []Attestation{}
	byPlace := make([][]byte, len(c.named))
	for _, e := range entries {
		a, st, place := c.judge(ctx, e)
		found = append(found, a)
		if a.Status == Signed && want(a) {
			byPlace[place] = st.Predicate
		}
	}
	for _, b := range c.named {
		if !b.found {
			found = append(found, b.absent(found))
		}
	}
	wanted := slices.DeleteFunc(byPlace, func(predicate []byte) bool { return predicate == nil })
	if len(wanted) == 0 {
		wanted = nil
	}
	return found, wanted, nil
}

// check is one call of Check.
type check struct {
	store  document.Store
	named  []*byproduct
	budget int64
}

// judge says what the provenance says of one attestation, and at which place it
// names it. The statement is nil if it was not read.
func (c *check) judge(ctx context.Context, e Entry) (a Attestation, st *Statement, place int) {
	a = Attestation{PredicateType: e.PredicateType, Layer: e.Layer, Size: e.Size}
	if err := e.acceptable(); err != nil {
		return a.unsigned(err.Error()), nil, 0
	}
	if !c.couldBe(e) {
		return a.unsigned(e.unnamed()), nil, 0
	}
	st, err := fetch(ctx, c.store, e, min(MaxStatement, c.budget))
	if err != nil {
		a = a.unsigned(err.Error())
		if !saysSomething(err) {
			a.Status = Unknown
		}
		return a, nil, 0
	}
	c.budget -= st.size
	a.Predicate = st.Digest
	// The same bytes may be named twice.
	for i, b := range slices.Backward(c.named) {
		if b.digest == st.Digest && b.predicateType == e.PredicateType {
			b.found = true
			a.Status, a.Name, a.MediaType, place = Signed, b.name, b.mediaType, i
		}
	}
	if a.Status == Signed {
		return a, st, place
	}
	return a.unsigned("the provenance names " + c.wanted(e.PredicateType) + ", this is " + st.Digest.String()), st, 0
}

func (a Attestation) unsigned(reason string) Attestation {
	a.Status, a.Reason = Unsigned, reason
	return a
}

// saysSomething tells what is wrong with an attestation from not having got it.
func saysSomething(err error) bool {
	for _, about := range []error{ErrStatement, document.ErrDigest, limit.ErrTooLarge} {
		if errors.Is(err, about) {
			return true
		}
	}
	return false
}

func (c *check) couldBe(e Entry) bool {
	for _, b := range c.named {
		if b.predicateType == e.PredicateType {
			return true
		}
	}
	return false
}

// wanted lists what the provenance names of one type.
func (c *check) wanted(predicateType string) string {
	var list string
	for _, b := range c.named {
		if b.predicateType != predicateType {
			continue
		}
		if list != "" {
			list += " and "
		}
		list += b.digest.String()
	}
	return list
}

// A byproduct is what the provenance names, for the platform in question.
type byproduct struct {
	name, mediaType, predicateType string
	digest                         digest.Digest
	found                          bool
}

// absent is the byproduct that no attestation was. One that could not be read
// may have been it.
func (b *byproduct) absent(found []Attestation) Attestation {
	a := Attestation{
		Status: Missing, Reason: "the provenance names it, and the image does not carry it",
		PredicateType: b.predicateType, Name: b.name, MediaType: b.mediaType, Predicate: b.digest,
	}
	for _, f := range found {
		if f.Status == Unknown && f.PredicateType == b.predicateType {
			a.Status, a.Reason = Unknown, "the provenance names it, and not all attestations could be read"
		}
	}
	return a
}

// named are the byproducts for a platform. One without a platform, a predicate
// type or a SHA-256 could be matched with anything, so it is matched with
// nothing.
func named(platform ocispec.Platform, p *slsa.Provenance) []*byproduct {
	if p == nil {
		return nil
	}
	var list []*byproduct
	for _, r := range p.RunDetails.Byproducts {
		predicateType, _ := r.Annotations[slsa.AnnotationPredicateType].(string)
		text, _ := r.Annotations[slsa.AnnotationPlatform].(string)
		dgst := digest.NewDigestFromEncoded(digest.SHA256, r.Digest["sha256"])
		if predicateType == "" || document.CheckDigest(dgst) != nil || !isPlatform(text, platform) {
			continue
		}
		list = append(list, &byproduct{name: r.Name, mediaType: r.MediaType, predicateType: predicateType, digest: dgst})
	}
	return list
}

// isPlatform compares what was signed with what the index says. A lone "linux"
// would be completed from the machine we run on.
func isPlatform(text string, want ocispec.Platform) bool {
	signed, err := platforms.Parse(text)
	if err != nil || !strings.Contains(text, "/") {
		return false
	}
	signed, want = platforms.Normalize(signed), platforms.Normalize(want)
	return signed.OS == want.OS && signed.Architecture == want.Architecture && signed.Variant == want.Variant
}
