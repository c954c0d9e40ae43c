// SPDX-License-Identifier: Apache-2.0

// Package policy says who may have signed which image. It reads
// ClusterImagePolicy documents (policy.sigstore.dev, v1beta1 and v1alpha1) with
// the semantics of Sigstore's policy-controller: all policies whose globs match
// an image must be satisfied, each by any one of its authorities. An image that
// no policy matches is refused.
//
// Every field of the schema is enforced or refused by name; docs/policy.md has
// the list. The package does no verification: it is asked whether signers that
// others verified are welcome.
package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy/spec"
)

var (
	// ErrInvalid reports a policy that cannot be read or does not make sense.
	ErrInvalid = errors.New("invalid policy")

	// ErrUnsupported reports a field that the schema has and we do not
	// enforce yet. Ignoring it could admit what it was written to keep out.
	ErrUnsupported = errors.New("unsupported policy")

	// ErrEmpty reports a folder without a single policy in it.
	ErrEmpty = errors.New("no policy")

	// ErrNoMatch reports an image that no policy is about.
	ErrNoMatch = errors.New("no policy matches")

	// ErrIdentity reports a signer that no identity of an authority matches.
	ErrIdentity = errors.New("signed by somebody else")

	// ErrAuthority reports a certificate from another certificate authority
	// than keyless.url names.
	ErrAuthority = errors.New("certificate from another authority")

	// ErrNoSignature reports a claim that is no approval of the image.
	ErrNoSignature = errors.New("an attestation is no signature")

	// ErrStatic reports an image that a static policy refuses.
	ErrStatic = errors.New("refused by a static policy")
)

// Mode is what becomes of an image that a policy refuses.
type Mode string

const (
	// Enforce refuses it.
	Enforce Mode = "enforce"
	// Warn admits it with a warning.
	Warn Mode = "warn"
)

// A Set is all policies in force.
type Set struct {
	policies []Policy
	roots    map[string]*spec.TrustRoot
	digest   digest.Digest
	// where names the files and folders the set was read from.
	where string
}

// Digest is the SHA-256 over the names and contents of all files of the set.
func (s *Set) Digest() digest.Digest { return s.digest }

// Policies lists the policies of the set, in the order of their files.
func (s *Set) Policies() []Policy { return s.policies }

// TrustRoot is the TrustRoot document of that name.
func (s *Set) TrustRoot(name string) (*spec.TrustRoot, bool) {
	root, ok := s.roots[name]
	return root, ok
}

// Where says where the set was read from.
func (s *Set) Where() string { return s.where }

// Select finds the policies that match the image name with the digest dgst;
// see Spellings for what is compared. It fails with ErrEmpty or ErrNoMatch
// rather than return none.
func (s *Set) Select(name string, dgst digest.Digest) ([]Policy, error) {
	if len(s.policies) == 0 {
		return nil, fmt.Errorf("%w in %s: write a ClusterImagePolicy there", ErrEmpty, s.where)
	}
	spellings, err := Spellings(name, dgst)
	if err != nil {
		return nil, err
	}
	var matching []Policy
	for _, p := range s.policies {
		if p.matches(spellings) {
			matching = append(matching, p)
		}
	}
	if len(matching) == 0 {
		return nil, fmt.Errorf("%w %s among the %d in %s", ErrNoMatch, name, len(s.policies), s.where)
	}
	return matching, nil
}

// A Policy is one ClusterImagePolicy.
type Policy struct {
	Name string
	// Origin is file:line of the document.
	Origin string
	Mode   Mode
	// Authorities are alternatives; there is at least one.
	Authorities []Authority

	globs []glob
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

// An Authority is one way to satisfy a policy: either static or keyless.
type Authority struct {
	Name string
	// Origin is file:line of the authority.
	Origin string
	// Static is set for an authority that looks at no evidence.
	Static *Static
	// Trust says under what evidence has to verify.
	Trust Trust
	// CertificateAuthority, if set, is the URL of the one that must have issued
	// the certificate, as the trusted root names it.
	CertificateAuthority string
	// Identities are who may have signed, any of them. Only a keyless authority
	// has some: whoever has a key is welcome where the key is.
	Identities []Identity
	// Attestations must all be there. Without any, a signature must.
	Attestations []Attestation
	// Sources are other places than the image's own repository that evidence
	// lies in.
	Sources []Source
	// Format, if set, is the only one that counts.
	Format claim.Format

	// Keyless is set for an authority that wants a keyless signature.
	Keyless *Keyless
}

// An Attestation is a statement that an authority wants.
type Attestation struct {
	Name string
	// Origin is file:line of the attestation.
	Origin string
	// PredicateType is a URI.
	PredicateType string
}

// A Source is a repository that evidence may lie in.
type Source struct {
	// Repository is empty for the image's own.
	Repository string
	// TagPrefix stands before the names of cosign's tags.
	TagPrefix string
}

// Static admits or refuses whatever the policy matches.
type Static struct {
	Pass    bool
	Message string
}

// Keyless wants a signature by any one of Identities.
type Keyless struct {
	// URL, if set, is the certificate authority that must have issued the
	// certificate, as the trusted root names it.
	URL        string
	Identities []Identity
}

// A Signer is what others have verified about a signature.
type Signer struct {
	Issuer  string
	Subject string
	// Authorities are the URIs of the certificate authorities that vouch for
	// the certificate.
	Authorities []string
}

// NeedsEvidence reports whether signatures could change what the policy says.
// A static pass alone satisfies it, so then nothing has to be looked up.
func (p *Policy) NeedsEvidence() bool {
	evidence := false
	for _, a := range p.Authorities {
		if a.Static != nil && a.Static.Pass {
			return false
		}
		evidence = evidence || a.Keyless != nil
	}
	return evidence
}

// Satisfied returns the authority that the signers satisfy. Without one, it
// returns why not: a reason for each authority and signer, none if there was
// nobody to judge.
func (p *Policy) Satisfied(signers []Signer) (*Authority, []error) {
	var reasons []error
	for i := range p.Authorities {
		a := &p.Authorities[i]
		if a.Static != nil {
			if a.Static.Pass {
				return a, nil
			}
			reasons = append(reasons, fmt.Errorf("%w: %s", ErrStatic, a.Static.Message))
			continue
		}
		for _, s := range signers {
			err := a.Keyless.welcomes(s)
			if err == nil {
				return a, nil
			}
			reasons = append(reasons, err)
		}
	}
	return nil, reasons
}

func (k *Keyless) welcomes(s Signer) error {
	if k.URL != "" && !contains(s.Authorities, k.URL) {
		return fmt.Errorf("%w: issued by %s, wanted %s", ErrAuthority, strings.Join(s.Authorities, " "), k.URL)
	}
	for _, id := range k.Identities {
		if id.matches(s) {
			return nil
		}
	}
	return stranger(k.Identities, s)
}

// stranger says how s differs from those who are welcome. The issuer is only
// mentioned if it makes the difference: the reason may have to fit into 300
// bytes.
func stranger(ids []Identity, s Signer) error {
	var issuers, subjects []string
	for _, id := range ids {
		if matches(id.Subject, id.SubjectRegExp, s.Subject) {
			issuers = append(issuers, form(id.Issuer, id.IssuerRegExp))
		}
		subjects = append(subjects, form(id.Subject, id.SubjectRegExp))
	}
	if len(issuers) > 0 {
		return fmt.Errorf("%w: %s, but issuer %s, wanted %s", ErrIdentity, s.Subject, s.Issuer, strings.Join(issuers, " or "))
	}
	return fmt.Errorf("%w: %s, wanted %s", ErrIdentity, s.Subject, strings.Join(subjects, " or "))
}

func contains(uris []string, want string) bool {
	for _, u := range uris {
		if strings.TrimSuffix(u, "/") == strings.TrimSuffix(want, "/") {
			return true
		}
	}
	return false
}
