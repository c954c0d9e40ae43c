// SPDX-License-Identifier: Apache-2.0

// Package reproduce tells whether an image can be built again from what its
// signed provenance says, bit for bit, and where not, which files differ, which
// instruction made them, and what the likely cause is. docs/reproduce.md is the
// specification of its report.
//
// It is a second flow over the steps of verify: Find reads the provenance out
// of an image that has been verified; NewPlan turns it into what a builder has
// to be told; Folder.Check compares a build context with the recorded one;
// Compare puts the two images side by side. In between, the caller runs the
// builder: this package starts no programs.
package reproduce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/trust"
)

var (
	// ErrUnverified reports an image whose provenance nobody vouches for.
	ErrUnverified = errors.New("no verified provenance")

	// ErrProvenance reports provenance that plomb cannot build from: of
	// another build type, or without what a rebuild needs.
	ErrProvenance = errors.New("unusable provenance")
)

// An Original is the image to reproduce, for one platform.
type Original struct {
	Manifest   image.Manifest
	Provenance *slsa.Provenance
	// Signer is nil where nothing was verified.
	Signer *decision.Signer
}

// Find verifies the image as req asks and returns the provenance that the
// verdict rests on. It returns ErrUnverified, with the decision, for an image
// that is not allowed, or that a policy allows without evidence.
func Find(ctx context.Context, req verify.Request) (*Original, *decision.Decision, error) {
	d := verify.Verify(ctx, req)
	if d.Verdict != decision.Allow {
		return nil, d, fmt.Errorf("%w: %s", ErrUnverified, d.Line())
	}
	m, err := image.OpenBest(ctx, req.Location, req.Descriptor.Digest, req.Platform)
	if err != nil {
		return nil, d, err
	}
	// One bundle at a time: the policy has to be content with the very bundle
	// that the provenance is read from.
	for c, err := range (evidence.Embedded{Store: req.Location}).Candidates(ctx, subject(m)) {
		if err != nil {
			continue
		}
		one := req
		one.Sources = []evidence.Source{only{c}}
		if got := verify.Verify(ctx, one); got.Verdict == decision.Allow {
			if s := signerOf(got, m, c); s != nil {
				p, err := read(c, m)
				if err != nil {
					return nil, d, err
				}
				return &Original{Manifest: m, Provenance: p, Signer: s}, d, nil
			}
		}
	}
	return nil, d, fmt.Errorf("%w: the policy allows %s without a signature, so nobody vouches for what its provenance says", ErrUnverified, req.Name)
}

// FindUnverified reads the first provenance that the image carries. Whoever
// made the image chose every word of it.
func FindUnverified(ctx context.Context, req verify.Request) (*Original, error) {
	m, err := image.OpenBest(ctx, req.Location, req.Descriptor.Digest, req.Platform)
	if err != nil {
		return nil, err
	}
	for c, candidateErr := range (evidence.Embedded{Store: req.Location}).Candidates(ctx, subject(m)) {
		if candidateErr != nil {
			err = candidateErr
			continue
		}
		p, readErr := read(c, m)
		if readErr == nil {
			return &Original{Manifest: m, Provenance: p}, nil
		}
		err = readErr
	}
	if err == nil {
		err = errors.New("the image carries no bundle")
	}
	return nil, fmt.Errorf("%w: %w", ErrProvenance, err)
}

func subject(m image.Manifest) evidence.Subject {
	return evidence.Subject{Entry: m.Entry, Siblings: m.Siblings}
}

// only is a source with a single bundle.
type only struct{ candidate evidence.Candidate }

// Candidates implements evidence.Source.
func (o only) Candidates(context.Context, evidence.Subject) iter.Seq2[evidence.Candidate, error] {
	return func(yield func(evidence.Candidate, error) bool) { yield(o.candidate, nil) }
}

func signerOf(d *decision.Decision, m image.Manifest, c evidence.Candidate) *decision.Signer {
	for _, found := range d.Manifests {
		for _, s := range found.Signers {
			if found.Digest == m.Entry.Digest && s.Bundle == c.Digest {
				return &s
			}
		}
	}
	return nil
}

// read takes the provenance out of a bundle.
func read(c evidence.Candidate, m image.Manifest) (*slsa.Provenance, error) {
	claim, err := trust.DescribeUnverified(c.Bundle)
	if err != nil {
		return nil, err
	}
	st, err := binding.Check(claim.Payload, binding.Target{
		Manifest: m.Entry.Digest, Platform: m.Platform, Document: m.Manifest, EntryAnnotations: m.Entry.Annotations,
	})
	if err != nil {
		return nil, err
	}
	return parse(st)
}

func parse(st *provenance.Statement) (*slsa.Provenance, error) {
	var p slsa.Provenance
	if err := json.Unmarshal(st.Predicate, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProvenance, err)
	}
	if p.BuildDefinition.BuildType != slsa.BuildType {
		return nil, fmt.Errorf("%w: its build type is %q; plomb rebuilds %q only", ErrProvenance, p.BuildDefinition.BuildType, slsa.BuildType)
	}
	return &p, nil
}

// Platform is the platform of the original as a builder is told.
func (o Original) Platform() string { return platforms.Format(o.Manifest.Platform) }

// Layers are the descriptors of its layers.
func (o Original) Layers() []ocispec.Descriptor { return o.Manifest.Manifest.Layers }
