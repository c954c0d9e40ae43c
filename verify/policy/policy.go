// SPDX-License-Identifier: Apache-2.0

// Package policy says who may have signed which image, and what else has to
// hold. It reads ClusterImagePolicy and TrustRoot documents
// (policy.sigstore.dev, v1beta1 and v1alpha1) with the semantics of Sigstore's
// policy-controller, and ImagePolicy documents, plomb's own: all policies whose
// globs match an image must be satisfied, each by any one of its authorities.
// An image that no policy matches is refused.
//
// Every field of the schema is enforced or refused by name; docs/policy.md has
// the list. The package does no verification: it judges claims that others
// verified.
package policy

import (
	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// Mode is what becomes of an image that a policy refuses.
type Mode string

const (
	// Enforce refuses it.
	Enforce Mode = "enforce"
	// Warn admits it with a warning.
	Warn Mode = "warn"
)

// A Policy is one ClusterImagePolicy or ImagePolicy.
type Policy struct {
	Name string
	// Origin is file:line of the document.
	Origin string
	Mode   Mode
	// Authorities are alternatives; there is at least one.
	Authorities []Authority
	// Spec is the document, if the policy was read from one.
	Spec *spec.ImagePolicy

	globs []glob
	// match reports that the policy is about some pods only.
	match bool
	// whole, if set, is judged over all authorities that are satisfied.
	whole *inner
	// conditions are those of an ImagePolicy.
	conditions []condition
}

func (p *Policy) matches(spellings []string) bool {
	for _, g := range p.globs {
		for _, s := range spellings {
			if g.match(s) {
				return true
			}
		}
	}
	return false
}

// An Authority is one way to satisfy a policy.
type Authority struct {
	Name string
	// Origin is file:line of the authority.
	Origin string
	// Static is set for an authority that looks at no evidence. The fields
	// below are those of the others.
	Static *Static
	// Trust says under what evidence has to verify.
	Trust Trust
	// CertificateAuthority, if set, is the URL of the one that must have issued
	// the certificate, as the trusted root names it.
	CertificateAuthority string
	// Identities are who may have signed, any of them. Only a keyless authority
	// has some.
	Identities []Identity
	// Attestations must all be there. Without any, a signature must.
	Attestations []Attestation
	// Sources are other places than the image's own repository that evidence
	// may lie in.
	Sources []Source
	// Format, if set, is the only one that counts.
	Format claim.Format

	// keys are those of a keyed authority.
	keys []digest.Digest
	// secrets reports that a source needs pull secrets of a pod.
	secrets bool
}

// Static admits or refuses whatever the policy matches.
type Static struct {
	Pass    bool
	Message string
	// refusal, if set, takes the place of ErrStatic and the message.
	refusal error
}

// An Attestation is a statement that an authority wants.
type Attestation struct {
	Name string
	// Origin is file:line of the attestation.
	Origin string
	// PredicateType is a URI.
	PredicateType string

	// written is the predicate type as the policy has it: perhaps a short name.
	written string
	// policy, if set, has to hold for the statement.
	policy *inner
}

// A Source is a repository that evidence may lie in.
type Source struct {
	// Repository is empty for the image's own.
	Repository string
	// TagPrefix stands before the names of cosign's tags.
	TagPrefix string
}

// Trusts are the trusts under which evidence for the policy has to be verified,
// each once. A policy whose authorities are all static has none.
func (p *Policy) Trusts() []Trust {
	var trusts []Trust
	seen := map[string]bool{}
	for i := range p.Authorities {
		a := &p.Authorities[i]
		if a.Static != nil || seen[a.Trust.ID()] {
			continue
		}
		seen[a.Trust.ID()] = true
		trusts = append(trusts, a.Trust)
	}
	return trusts
}

// NeedsEvidence reports whether anything about the image but its name could
// change what the policy says. If not, Judge asks for nothing.
func (p *Policy) NeedsEvidence() bool {
	if p.match {
		return false
	}
	pass, signed := false, false
	for _, a := range p.Authorities {
		pass = pass || (a.Static != nil && a.Static.Pass)
		signed = signed || a.Static == nil
	}
	if pass && p.whole == nil && len(p.conditions) == 0 {
		return false
	}
	return pass || signed
}
