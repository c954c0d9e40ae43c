// SPDX-License-Identifier: Apache-2.0

// Package documents finds what an image says of itself, for people who want to
// read it: the provenance as it was signed, and the SBOMs that it names.
//
// It is a further flow over the steps of verify: Open verifies the image first
// and reads only what the verdict rests on; OpenUnverified believes the image,
// and still gives no SBOM that its own provenance does not name. The formats of
// SBOMs are in provenance/spdx and provenance/cyclonedx.
package documents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/byproducts"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/trust"
)

var (
	// ErrUnverified reports an image for whose documents nobody vouches.
	ErrUnverified = errors.New("not verified")

	// ErrPlatform reports an image for several platforms, none of which is
	// this machine's.
	ErrPlatform = errors.New("which platform?")

	// ErrNoProvenance reports an image without provenance.
	ErrNoProvenance = errors.New("no provenance")

	// ErrNoSBOM reports an image without an SBOM of the kind that is wanted.
	ErrNoSBOM = errors.New("no SBOM")

	// ErrUnsigned reports an SBOM that is not the one that the provenance
	// names.
	ErrUnsigned = errors.New("the SBOM is not the signed one")
)

// PredicateSPDX is the predicate type of SBOMs.
const PredicateSPDX = "https://spdx.dev/Document"

// An Image is one platform of an image, and what it says of itself.
type Image struct {
	Manifest image.Manifest
	// Statement is the one in the bundle; Predicate its predicate, and
	// Provenance the same, read. All nil if the image has none.
	Statement  *provenance.Statement
	Provenance *slsa.Provenance
	// Signer is who signed it; for an image that was not verified, who is said
	// to have.
	Signer *trust.Signer
	// Verified reports whether a policy welcomes the signer.
	Verified bool

	location evidence.Location
}

// Open verifies the image as req asks, and reads the provenance that the
// verdict rests on. The decision is there in any case.
func Open(ctx context.Context, req verify.Request) (*Image, *decision.Decision, error) {
	d, vouched := verify.Examine(ctx, req)
	if d.Verdict != decision.Allow {
		return nil, d, fmt.Errorf("%w: %s", ErrUnverified, d.Line())
	}
	if len(vouched) == 0 {
		return nil, d, fmt.Errorf("%w: the policy allows %s without a signature, or by several signers, so nobody vouches for what its provenance says", ErrUnverified, req.Name)
	}
	// What a node would run. If nobody vouches for that one manifest, those
	// of others are no stand-in.
	m, err := image.OpenBest(ctx, req.Location, req.Descriptor.Digest, req.Platform)
	if err != nil {
		return nil, d, err
	}
	for _, v := range vouched {
		if v.Manifest.Entry.Digest == m.Entry.Digest {
			i := &Image{
				Manifest: m, Statement: v.Statement, Verified: true, location: req.Location,
				Signer: &trust.Signer{Issuer: v.Signer.Issuer, Subject: v.Signer.Subject},
			}
			return i, d, i.parse()
		}
	}
	return nil, d, fmt.Errorf("%w: nobody vouches for what %s says of itself", ErrUnverified, m.Entry.Digest)
}

// OpenUnverified reads the first provenance about the image that it carries.
// Whoever made the image chose every word of it.
func OpenUnverified(ctx context.Context, req verify.Request) (*Image, error) {
	m, err := image.OpenBest(ctx, req.Location, req.Descriptor.Digest, req.Platform)
	if err != nil {
		return nil, err
	}
	i := &Image{Manifest: m, location: req.Location}
	n := 0
	for c, err := range (evidence.Embedded{Store: req.Location}).Candidates(ctx, evidence.Subject{Entry: m.Entry, Siblings: m.Siblings}) {
		if n++; n > evidence.MaxCandidates {
			break
		}
		if err != nil {
			continue
		}
		claim, st, err := about(m, c.Bundle)
		if err == nil {
			i.Statement, i.Signer = st, &claim.Signer
			return i, i.parse()
		}
	}
	return i, nil
}

// about reads a bundle that claims to be about m.
func about(m image.Manifest, bundle []byte) (*trust.Claim, *provenance.Statement, error) {
	claim, err := trust.DescribeUnverified(bundle)
	if err != nil {
		return nil, nil, err
	}
	st, err := binding.Check(claim.Payload, binding.Target{
		Manifest: m.Entry.Digest, Platform: m.Platform, Document: m.Manifest, EntryAnnotations: m.Entry.Annotations,
	})
	return claim, st, err
}

func (i *Image) parse() error {
	i.Provenance = new(slsa.Provenance)
	if err := json.Unmarshal(i.Statement.Predicate, i.Provenance); err != nil {
		return fmt.Errorf("%w that could be read: %w", ErrNoProvenance, err)
	}
	return nil
}

// Platform is the platform of the image, as os/architecture[/variant].
func (i *Image) Platform() string { return platforms.Format(i.Manifest.Platform) }

// SBOM returns the document that the provenance names as the byproduct name,
// exactly as it is stored, and the list of all attestations. ErrUnsigned names
// the digests of what is there and of what should be.
func (i *Image) SBOM(ctx context.Context, name string) ([]byte, []byproducts.Attestation, error) {
	list, data, err := byproducts.Find(ctx, i.location, i.subject(), i.Provenance, func(a byproducts.Attestation) bool {
		return a.Name == name && a.PredicateType == PredicateSPDX
	})
	if err != nil {
		return nil, nil, err
	}
	if data != nil {
		return data, list, nil
	}
	return nil, list, i.lacking(name, list)
}

// UnsignedSBOM returns the first SPDX document beside the image, whoever put it
// there.
func (i *Image) UnsignedSBOM(ctx context.Context) ([]byte, error) {
	entries, err := byproducts.List(ctx, i.location, i.subject())
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.PredicateType != PredicateSPDX {
			continue
		}
		st, err := byproducts.Fetch(ctx, i.location, e)
		if err != nil {
			return nil, err
		}
		return st.Predicate, nil
	}
	return nil, fmt.Errorf("%w beside %s", ErrNoSBOM, i.Manifest.Entry.Digest)
}

func (i *Image) subject() byproducts.Subject {
	return byproducts.Subject{Manifest: i.Manifest.Entry.Digest, Platform: i.Manifest.Platform, Siblings: i.Manifest.Siblings}
}

// lacking says why there is no signed document of that name.
func (i *Image) lacking(name string, list []byproducts.Attestation) error {
	var carried, named []string
	for _, a := range list {
		switch {
		case a.PredicateType != PredicateSPDX:
		case a.Status == byproducts.Unknown:
			return fmt.Errorf("SBOM %s %s could not be read: %s", a.Layer, a.Predicate, a.Reason)
		case a.Status == byproducts.Missing && a.Name == name:
			named = append(named, a.Predicate.String())
		case a.Status == byproducts.Unsigned:
			carried = append(carried, carriedAs(a))
		}
	}
	switch {
	case i.Statement == nil && len(carried) > 0:
		return fmt.Errorf("%w: the image carries %s, and no signature that could name it", ErrUnsigned, strings.Join(carried, ", "))
	case len(named) > 0 && len(carried) > 0:
		return fmt.Errorf("%w: the provenance names %s, the image carries %s", ErrUnsigned, strings.Join(named, ", "), strings.Join(carried, ", "))
	case len(named) > 0:
		return fmt.Errorf("%w: the provenance names %s, the image does not carry it", ErrUnsigned, strings.Join(named, ", "))
	case len(carried) > 0:
		return fmt.Errorf("%w: the image carries %s, its provenance names none as %q", ErrUnsigned, strings.Join(carried, ", "), name)
	}
	if name == slsa.ByproductSBOMFiles {
		return fmt.Errorf("%w of files for %s: build with PLOMB_SBOM=files", ErrNoSBOM, i.Platform())
	}
	return fmt.Errorf("%w for %s: plomb makes one unless PLOMB_SBOM=off", ErrNoSBOM, i.Platform())
}

// carriedAs names an attestation by its predicate, or by its blob with the
// reason why nobody knows the predicate.
func carriedAs(a byproducts.Attestation) string {
	if a.Predicate != "" {
		return a.Predicate.String()
	}
	return fmt.Sprintf("blob %s (%s)", a.Layer, a.Reason)
}

// ChoosePlatform is for whoever did not name one: this machine's if the image
// has it, else the only one.
func ChoosePlatform(ctx context.Context, req verify.Request) (platforms.Matcher, error) {
	machine := platforms.Default()
	_, err := image.Open(ctx, req.Location, req.Descriptor.Digest, machine, image.MaxForNode)
	if !errors.Is(err, image.ErrNoPlatform) {
		return machine, err
	}
	img, err := image.Open(ctx, req.Location, req.Descriptor.Digest, runnable{}, image.MaxForPerson)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range img.Manifests {
		names = append(names, platforms.Format(m.Platform))
	}
	if len(names) == 1 {
		return platforms.Only(img.Manifests[0].Platform), nil
	}
	return nil, fmt.Errorf("%w %s is for %s; say which with --platform", ErrPlatform, req.Name, strings.Join(names, ", "))
}

// runnable matches every platform that some machine could be.
type runnable struct{}

func (runnable) Match(p ocispec.Platform) bool {
	return p.OS != "unknown" && p.Architecture != "unknown"
}
