// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy"
)

// evidence is policy.Evidence out of a file.
type evidence struct {
	claims      []supposed
	config      []byte
	byproducts  []byproduct
	materials   []material
	unreachable error
}

func (in *input) evidence(m *manifest, c policy.Case) (*evidence, error) {
	e := &evidence{materials: m.Materials}
	for i, s := range m.Claims {
		cl, err := in.claim(s, c)
		if err != nil {
			return nil, fmt.Errorf("claims[%d]: %w", i, err)
		}
		e.claims = append(e.claims, cl)
	}
	var err error
	if e.config, err = in.content(m.Config, ""); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if e.config == nil {
		e.config = []byte("{}")
	}
	for i, b := range m.Byproducts {
		b.PredicateType = policy.PredicateType(b.PredicateType)
		if b.data, err = in.content(b.Predicate, b.PredicateFile); err != nil {
			return nil, fmt.Errorf("byproducts[%d]: %w", i, err)
		}
		if b.PredicateType == "" || b.data == nil {
			return nil, fmt.Errorf("byproducts[%d] needs predicateType, and predicate or predicateFile", i)
		}
		e.byproducts = append(e.byproducts, b)
	}
	for i, mat := range m.Materials {
		if _, err := digest.Parse(mat.Digest); err != nil || mat.Policy == "" || (mat.Verdict != "allow" && mat.Verdict != "deny") {
			return nil, fmt.Errorf("materials[%d] needs digest, policy, and a verdict, allow or deny", i)
		}
	}
	if m.Unreachable != "" {
		e.unreachable = fmt.Errorf("%w: %s", verify.ErrUnreachable, m.Unreachable)
	}
	return e, nil
}

// Claims are those that would verify under t.
func (e *evidence) Claims(t policy.Trust) []claim.Claim {
	var out []claim.Claim
	for _, c := range e.claims {
		if c.verifies(t) {
			out = append(out, c.Claim)
		}
	}
	return out
}

// verifies says what the steps trust and notation would.
func (s *supposed) verifies(t policy.Trust) bool {
	switch {
	case t.Notation != nil:
		return s.notarised(t.Notation)
	case t.Key != nil:
		if s.Signer.Key == "" || !slices.Contains(fingerprints([]byte(t.Key.PEM)), s.Signer.Key) {
			return false
		}
	case t.Keyless != nil:
		if s.Signer.Issuer == "" || !s.certified(t.Keyless) {
			return false
		}
		if t.Log == nil && t.Timestamp == nil && !s.Logged {
			return false
		}
	default:
		return false
	}
	if t.Log != nil && (!s.Logged || s.log != t.Log.Root) {
		return false
	}
	return t.Timestamp == nil || s.timestamp != nil && *s.timestamp == t.Timestamp.Root
}

func (s *supposed) certified(t *policy.KeylessTrust) bool {
	if !s.sct && !t.IgnoreSCT {
		return false
	}
	if t.CACert != "" {
		return s.leadsTo(t.CACert)
	}
	return s.authority == nil && s.root == t.Root
}

// leadsTo reports whether the claim's authority is among the certificates.
func (s *supposed) leadsTo(text string) bool {
	if s.authority == nil {
		return false
	}
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && c.Equal(s.authority) {
			return true
		}
	}
	return false
}

// notarised reports whether a trust policy statement admits the signature: its
// certificate leads to a trust store, and its subject is one of those named.
func (s *supposed) notarised(t *policy.NotationTrust) bool {
	if s.Signer.X509 == "" {
		return false
	}
	if !slices.Contains(t.TrustStores, s.Signer.TrustStore) && !s.leadsTo(t.Certificates) {
		return false
	}
	for _, id := range t.TrustedIdentities {
		if id == "*" {
			return true
		}
		if dn, ok := strings.CutPrefix(id, "x509.subject:"); ok && subset(attributes(dn), attributes(s.Signer.X509)) {
			return true
		}
	}
	return false
}

// attributes are those of a distinguished name (RFC 4514), as TYPE=VALUE.
func attributes(dn string) []string {
	var out []string
	var current strings.Builder
	escaped := false
	for _, c := range dn + "," {
		switch {
		case escaped:
			current.WriteRune(c)
			escaped = false
		case c == '\\':
			escaped = true
		case c == ',' || c == '+':
			kind, value, _ := strings.Cut(current.String(), "=")
			if kind = strings.TrimSpace(kind); kind != "" {
				out = append(out, strings.ToUpper(kind)+"="+strings.TrimSpace(value))
			}
			current.Reset()
		default:
			current.WriteRune(c)
		}
	}
	return out
}

func subset(some, all []string) bool {
	for _, a := range some {
		if !slices.Contains(all, a) {
			return false
		}
	}
	return len(some) > 0
}

// Config is the image config.
func (e *evidence) Config(context.Context) ([]byte, error) { return e.config, nil }

// Byproducts are the documents that the image carries.
func (e *evidence) Byproducts(_ context.Context, _ claim.Claim, predicateType string) ([][]byte, error) {
	var list [][]byte
	for _, b := range e.byproducts {
		switch {
		case b.PredicateType != predicateType:
		case b.Swapped:
			return nil, fmt.Errorf("%w: %s is not the one that the provenance names", policy.ErrByproduct, predicateType)
		default:
			list = append(list, b.data)
		}
	}
	if len(list) > 0 {
		return list, nil
	}
	return nil, fmt.Errorf("%w: input.yaml has no byproduct %s", policy.ErrByproduct, predicateType)
}

// errMaterial is the refusal of a material.
var errMaterial = errors.New("refused")

// Material is what the input says the policy says. A material that it does not
// mention is refused.
func (e *evidence) Material(_ context.Context, name string, dgst digest.Digest, policyName string) error {
	for _, m := range e.materials {
		if m.Digest != dgst.String() || m.Policy != policyName || m.Name != "" && m.Name != name {
			continue
		}
		if m.Verdict == "allow" {
			return nil
		}
		return fmt.Errorf("%w: %s@%s, by policy %s", errMaterial, name, dgst, policyName)
	}
	return fmt.Errorf("%w: input.yaml does not say what policy %s makes of %s@%s", errMaterial, policyName, name, dgst)
}
