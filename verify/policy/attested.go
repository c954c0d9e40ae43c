// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/claim"
)

// attested is one statement that an authority wanted and a welcome signer made.
type attested struct {
	claim claim.Claim
	// predicateType is as the policy writes it.
	predicateType string
}

// attest looks for all attestations that the authority wants, among what its
// welcome signers stated.
func (s *satisfied) attest(ctx context.Context, c Case, e Evidence) error {
	s.attestations = map[string][]attested{}
	for i := range s.authority.Attestations {
		wanted := &s.authority.Attestations[i]
		got, err := wanted.find(ctx, c, e, s.welcome)
		if err != nil {
			return err
		}
		s.attestations[wanted.Name] = append(s.attestations[wanted.Name], got...)
		for _, a := range got {
			s.claims = append(s.claims, a.claim)
		}
	}
	return nil
}

// find returns the statements of the wanted type for which the policy, if there
// is one, holds. A document that signed provenance names by digest counts as
// stated by whoever signed the provenance; it is asked for only where nobody
// stated it himself.
func (w *Attestation) find(ctx context.Context, c Case, e Evidence, welcome []claim.Claim) ([]attested, error) {
	failure := &AttestationError{Wanted: *w}
	var got []attested
	for _, cl := range welcome {
		if !slices.Contains(failure.Have, cl.PredicateType) {
			failure.Have = append(failure.Have, cl.PredicateType)
		}
		if cl.PredicateType != w.PredicateType || len(cl.Statement) == 0 {
			continue
		}
		if err := w.judge(ctx, c, cl.Statement); err != nil {
			failure.Err = errors.Join(failure.Err, err)
			continue
		}
		got = append(got, attested{cl, w.written})
	}
	if len(got) > 0 || failure.Err != nil {
		return got, failure.unless(len(got) > 0)
	}
	for _, cl := range welcome {
		if cl.PredicateType != provenance.PredicateSLSA1 {
			continue
		}
		if err := w.byproduct(ctx, c, e, cl); err != nil {
			failure.Err = errors.Join(failure.Err, err)
			continue
		}
		got = append(got, attested{cl, w.written})
	}
	return got, failure.unless(len(got) > 0)
}

// unless is the error, unless all is well.
func (e *AttestationError) unless(well bool) error {
	if well {
		return nil
	}
	return e
}

func (w *Attestation) judge(ctx context.Context, c Case, statement []byte) error {
	if w.policy == nil {
		return nil
	}
	return w.policy.judge(ctx, statement, c.Now)
}

// byproduct judges the document of the wanted type that signed provenance names
// by digest, as if it were a statement of its own.
func (w *Attestation) byproduct(ctx context.Context, c Case, e Evidence, cl claim.Claim) error {
	predicates, err := e.Byproducts(ctx, cl, w.PredicateType)
	if err != nil {
		return err
	}
	// As of several statements, one has to be good.
	for _, predicate := range predicates {
		if err = w.judgeByproduct(ctx, c, predicate); err == nil {
			return nil
		}
	}
	return err
}

func (w *Attestation) judgeByproduct(ctx context.Context, c Case, predicate []byte) error {
	algorithm, hex, _ := strings.Cut(c.Manifest.String(), ":")
	statement, err := json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": c.Name, "digest": map[string]string{algorithm: hex}}},
		"predicateType": w.PredicateType,
		"predicate":     json.RawMessage(predicate),
	})
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNoResult, w.PredicateType, err)
	}
	return w.judge(ctx, c, statement)
}
