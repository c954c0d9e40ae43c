// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/byproducts"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/policy"
)

// A dossier is everything learnt about one manifest that could be run. It
// answers what policies ask.
type dossier struct {
	run *run
	// file is what is asked about; evidence is the dossier itself, unless
	// somebody supposes another.
	file     policy.Case
	evidence policy.Evidence
	manifest image.Manifest
	target   binding.Target

	// claims are those verified under a trust, by its ID; all are each once.
	claims map[string][]claim.Claim
	all    []claim.Claim
	// refusals are why other candidates do not count; failed are why some count
	// under another trust only, by the ID of the one under which they do not.
	refusals []error
	failed   map[string][]error

	config     []byte
	configErr  error
	byproducts map[string]fetched
	materials  map[string]error
}

// fetched are documents that were looked for once.
type fetched struct {
	list [][]byte
	err  error
}

var _ policy.Evidence = (*dossier)(nil)

func (r *run) open(m image.Manifest) *dossier {
	target := binding.Target{
		Manifest: m.Entry.Digest, Indexes: m.Indexes, Platform: m.Platform,
		Document: m.Manifest, EntryAnnotations: m.Entry.Annotations,
	}
	d := r.newDossier(policy.Case{
		Name: r.req.Name, Digest: r.req.Descriptor.Digest, Indexes: m.Indexes,
		Manifest: m.Entry.Digest, ImageID: m.Manifest.Config.Digest, Platform: m.Platform,
		Lazy: binding.Lazy(target), Now: r.req.Now(), VerifiedBefore: r.verifiedBefore(),
	}, m)
	d.target = target
	return d
}

func (r *run) newDossier(file policy.Case, m image.Manifest) *dossier {
	d := &dossier{
		run: r, file: file, manifest: m,
		claims:     map[string][]claim.Claim{},
		failed:     map[string][]error{},
		byproducts: map[string]fetched{},
		materials:  map[string]error{},
	}
	d.evidence = d
	return d
}

// add notes a claim that was verified under a trust.
func (d *dossier) add(trustID string, c claim.Claim) {
	d.claims[trustID] = addNew(d.claims[trustID], c)
	d.all = addNew(d.all, c)
}

// addNew leaves out what is there already: one signature makes one claim.
func addNew(claims []claim.Claim, c claim.Claim) []claim.Claim {
	for _, known := range claims {
		if known.Evidence == c.Evidence && known.PredicateType == c.PredicateType && known.Scope == c.Scope {
			return claims
		}
	}
	return append(claims, c)
}

// Claims implements policy.Evidence.
func (d *dossier) Claims(t policy.Trust) []claim.Claim { return d.claims[t.ID()] }

// Config implements policy.Evidence.
func (d *dossier) Config(ctx context.Context) ([]byte, error) {
	if d.config == nil && d.configErr == nil {
		d.config, d.configErr = document.Fetch(ctx, d.run.req.Location, document.Blob, d.file.ImageID, document.MaxManifest)
		d.configErr = d.run.inTime(ctx, d.configErr)
	}
	return d.config, d.configErr
}

// Byproducts implements policy.Evidence.
func (d *dossier) Byproducts(ctx context.Context, c claim.Claim, predicateType string) ([][]byte, error) {
	key := c.Evidence.String() + " " + string(c.Scope) + " " + c.Subject.String() + " " + predicateType
	if _, ok := d.byproducts[key]; !ok {
		list, err := d.findByproducts(ctx, c, predicateType)
		d.byproducts[key] = fetched{list, d.run.inTime(ctx, err)}
	}
	return d.byproducts[key].list, d.byproducts[key].err
}

// findByproducts looks among the attestations beside the image for those that the
// claim vouches for.
func (d *dossier) findByproducts(ctx context.Context, c claim.Claim, predicateType string) ([][]byte, error) {
	if c.Scope == claim.Chain {
		return d.chained(ctx, c.Subject, predicateType)
	}
	if c.PredicateType != provenance.PredicateSLSA1 {
		return nil, fmt.Errorf("%w: %s by %s names none", policy.ErrByproduct, c.PredicateType, c.Signer)
	}
	var p slsa.Provenance
	if err := json.Unmarshal(c.Predicate, &p); err != nil {
		return nil, fmt.Errorf("%w: the provenance cannot be read: %w", policy.ErrByproduct, err)
	}
	subject := byproducts.Subject{Manifest: d.file.Manifest, Platform: d.file.Platform, Siblings: d.manifest.Siblings}
	list, found, err := byproducts.FindAll(ctx, d.run.req.Location, subject, &p, func(a byproducts.Attestation) bool {
		return a.PredicateType == predicateType
	})
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		// What is there and not named (it has a layer) does no harm beside what
		// is; but if one of several is named and not there, the registry could
		// have left out the one that says more.
		if a.PredicateType != predicateType || found != nil && a.Layer != "" {
			continue
		}
		if a.Status == byproducts.Unknown {
			return nil, fmt.Errorf("%w: %s: %s", ErrAttestationsUnknown, predicateType, a.Reason)
		}
		return nil, fmt.Errorf("%w: %s is %s: %s", policy.ErrByproduct, predicateType, a.Status, a.Reason)
	}
	if found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("%w: the provenance names no %s", policy.ErrByproduct, predicateType)
}

// nothing is the evidence of a policy that asks for none.
type nothing struct{}

func (nothing) Claims(policy.Trust) []claim.Claim { return nil }

func (nothing) Config(context.Context) ([]byte, error) { return nil, ErrNotExamined }

func (nothing) Byproducts(context.Context, claim.Claim, string) ([][]byte, error) {
	return nil, ErrNotExamined
}

func (nothing) Material(context.Context, string, digest.Digest, string) error { return ErrNotExamined }
