// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/byproducts"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy"
)

// Docker signs the attestation manifest of an image and not the image: the
// signature names the attestation manifest by digest, that names its statements
// by digest, and a statement names the image manifest. Every link of the chain
// is a digest, so what is signed at one end holds for the other.

// chain makes claims about the image of one about its attestation manifest:
// one for each provenance statement in it that names the image. Statements of
// other types are only fetched when a policy asks for them, see chained.
func (d *dossier) chain(ctx context.Context, c claim.Claim) ([]claim.Claim, error) {
	if !c.IsSignature() {
		// Who scans an attestation manifest does not stand for what is in it.
		return nil, fmt.Errorf("%w: a %s about attestation manifest %s", policy.ErrNoSignature, c.PredicateType, c.Subject)
	}
	entries, err := d.statements(ctx, c.Subject)
	if err != nil {
		return nil, err
	}
	var claims []claim.Claim
	reason := fmt.Errorf("%w: attestation manifest %s holds no provenance", ErrSubject, c.Subject)
	for _, e := range entries {
		if !isProvenance(e.PredicateType) {
			continue
		}
		predicate, err := d.statement(ctx, e)
		if err != nil {
			reason = err
			continue
		}
		linked := c
		linked.PredicateType, linked.Predicate, linked.Statement = e.PredicateType, predicate, nil
		claims = append(claims, linked)
	}
	if len(claims) == 0 {
		return nil, reason
	}
	return claims, nil
}

// chained are the statements of a signed attestation manifest, all of which have
// to be about the image.
func (d *dossier) chained(ctx context.Context, attestations digest.Digest, predicateType string) ([][]byte, error) {
	entries, err := d.statements(ctx, attestations)
	if err != nil {
		return nil, err
	}
	var list [][]byte
	for _, e := range entries {
		if e.PredicateType != predicateType {
			continue
		}
		predicate, err := d.statement(ctx, e)
		if err != nil {
			return nil, err
		}
		list = append(list, predicate)
	}
	if list != nil {
		return list, nil
	}
	return nil, fmt.Errorf("%w: attestation manifest %s holds no %s", policy.ErrByproduct, attestations, predicateType)
}

func (d *dossier) statements(ctx context.Context, attestations digest.Digest) ([]byproducts.Entry, error) {
	return byproducts.ListIn(ctx, d.run.req.Location, attestations)
}

// statement is the predicate of a statement that names the image manifest.
func (d *dossier) statement(ctx context.Context, e byproducts.Entry) ([]byte, error) {
	st, err := byproducts.Fetch(ctx, d.run.req.Location, e)
	if err != nil {
		return nil, err
	}
	for _, s := range st.Subjects {
		if digest.NewDigestFromEncoded(digest.SHA256, s.Digest["sha256"]) == d.file.Manifest {
			return st.Predicate, nil
		}
	}
	return nil, fmt.Errorf("%w: the %s of the signed attestation manifest does not name manifest %s", ErrSubject, e.PredicateType, d.file.Manifest)
}

func isProvenance(predicateType string) bool {
	return predicateType == provenance.PredicateSLSA1 || predicateType == "https://slsa.dev/provenance/v0.2"
}
