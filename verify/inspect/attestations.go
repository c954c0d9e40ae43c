// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/byproducts"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/trust"
)

// A Claim is what the provenance in the first readable bundle has on an
// attestation. Nobody has verified it.
type Claim string

const (
	// Named: it names these bytes.
	Named Claim = "named"
	// NotNamed: it does not.
	NotNamed Claim = "not-named"
	// Absent: it names bytes that the image does not carry.
	Absent Claim = "absent"
	// Unread: the attestation could not be fetched.
	Unread Claim = "unread"
)

var claims = map[byproducts.Status]Claim{
	byproducts.Signed: Named, byproducts.Unsigned: NotNamed, byproducts.Missing: Absent, byproducts.Unknown: Unread,
}

// An Attestation is one statement beside the image.
type Attestation struct {
	PredicateType string `json:"predicateType"`
	// Digest is that of the blob; for an absent one, of the predicate.
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
	Claim  Claim         `json:"claim"`
	// Name is that of the byproduct; Predicate the SHA-256 of the predicate's
	// bytes, if they were looked at.
	Name      string        `json:"name,omitempty"`
	Predicate digest.Digest `json:"predicate,omitempty"`
}

// attestations lists the statements about m. An attestation manifest that is
// none has nothing to list; bundles says why.
func attestations(ctx context.Context, location evidence.Location, m image.Manifest, p *slsa.Provenance) ([]Attestation, error) {
	subject := byproducts.Subject{Manifest: m.Entry.Digest, Platform: m.Platform, Siblings: m.Siblings}
	list := []Attestation{}
	found, err := byproducts.Check(ctx, location, subject, p)
	if errors.Is(err, document.ErrMalformed) {
		return list, nil
	}
	for _, f := range found {
		a := Attestation{PredicateType: f.PredicateType, Digest: f.Layer, Size: f.Size, Claim: claims[f.Status], Name: f.Name, Predicate: f.Predicate}
		if a.Digest == "" {
			a.Digest = f.Predicate
		}
		list = append(list, a)
	}
	return list, err
}

// provenanceOf is what the first bundle about m claims, nil if none does.
func provenanceOf(ctx context.Context, location evidence.Location, m image.Manifest) *slsa.Provenance {
	n := 0
	for c, err := range (evidence.Embedded{Store: location}).Candidates(ctx, evidence.Subject{Entry: m.Entry, Siblings: m.Siblings}) {
		if n++; n > evidence.MaxCandidates {
			break
		}
		if err != nil {
			continue
		}
		claim, err := trust.DescribeUnverified(c.Bundle)
		if err != nil {
			continue
		}
		st, err := binding.Check(claim.Payload, binding.Target{
			Manifest: m.Entry.Digest, Platform: m.Platform, Document: m.Manifest, EntryAnnotations: m.Entry.Annotations,
		})
		if err != nil {
			continue
		}
		if p := parse(st); p != nil {
			return p
		}
	}
	return nil
}

func parse(st *provenance.Statement) *slsa.Provenance {
	var p slsa.Provenance
	if err := json.Unmarshal(st.Predicate, &p); err != nil {
		return nil
	}
	return &p
}
