// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy/spec"
)

var (
	// ErrInvalid reports a policy that cannot be read or does not make sense.
	ErrInvalid = spec.ErrInvalid

	// ErrUnsupported reports a field that the schema has and nothing enforces.
	// Ignoring it could admit what it was written to keep out.
	ErrUnsupported = spec.ErrUnsupported

	// ErrEmpty reports a folder without a single policy in it.
	ErrEmpty = errors.New("no policy")

	// ErrNoMatch reports an image that no policy is about.
	ErrNoMatch = errors.New("no policy matches")

	// ErrIdentity reports a signer that no identity or key of an authority
	// matches.
	ErrIdentity = errors.New("signed by somebody else")

	// ErrAuthority reports a certificate from another certificate authority
	// than keyless.url names.
	ErrAuthority = errors.New("certificate from another authority")

	// ErrFormat reports a claim in another format than signatureFormat names.
	ErrFormat = errors.New("signature in another format")

	// ErrNoSignature reports a welcome signer whose claims are attestations,
	// where the policy wants a signature.
	ErrNoSignature = errors.New("an attestation is no signature")

	// ErrAttestation reports an attestation that an authority wants and no
	// welcome signer made.
	ErrAttestation = errors.New("attestation missing")

	// ErrInnerPolicy reports a statement or an image that a policy in CUE or
	// Rego refuses.
	ErrInnerPolicy = errors.New("refused by an inner policy")

	// ErrNoResult reports a policy in CUE or Rego that came to no result. It
	// says nothing about the image.
	ErrNoResult = errors.New("an inner policy came to no result")

	// ErrStatic reports an image that a static policy refuses.
	ErrStatic = errors.New("refused by a static policy")

	// ErrNeedsPod reports a policy whose verdict depends on the pod, which a
	// node does not see when it pulls.
	ErrNeedsPod = errors.New("the policy depends on the pod")
)

// An IdentityError is a signer who is not among those whom an authority names.
// It is ErrIdentity.
type IdentityError struct {
	Signer claim.Signer
	// Authority is the one that does not welcome the signer, and its
	// Identities, or for a keyed one its keys, are who would be.
	Authority *Authority
	// Similar are identities with the subject of the signer, but another issuer.
	Similar []Identity
}

// Error mentions the issuer only if it makes the difference: the reason may
// have to fit into 300 bytes.
func (e *IdentityError) Error() string {
	if keys := e.Authority.keys; len(keys) > 0 {
		var wanted []string
		for _, k := range keys {
			wanted = append(wanted, k.String())
		}
		return fmt.Sprintf("%v: %s, wanted key %s", ErrIdentity, e.Signer, strings.Join(wanted, " or "))
	}
	var wanted []string
	if len(e.Similar) > 0 {
		for _, id := range e.Similar {
			wanted = append(wanted, form(id.Issuer, id.IssuerRegExp))
		}
		return fmt.Sprintf("%v: %s, but issuer %s, wanted %s", ErrIdentity, e.Signer.Subject, e.Signer.Issuer, strings.Join(wanted, " or "))
	}
	for _, id := range e.Authority.Identities {
		wanted = append(wanted, form(id.Subject, id.SubjectRegExp))
	}
	who := e.Signer.Subject
	if who == "" {
		who = e.Signer.String()
	}
	return fmt.Sprintf("%v: %s, wanted %s", ErrIdentity, who, strings.Join(wanted, " or "))
}

func (e *IdentityError) Unwrap() error { return ErrIdentity }

// An AttestationError is an attestation that an authority wants and does not
// get. It is ErrAttestation, or what Err is.
type AttestationError struct {
	Wanted Attestation
	// Have are the predicate types of what the welcome signers stated.
	Have []string
	// Err is why the attestation that there is does not count; nil if there is
	// none.
	Err error
}

func (e *AttestationError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("attestation %s: %s", e.Wanted.Name, strings.ReplaceAll(e.Err.Error(), "\n", "; "))
	}
	have := strings.Join(e.Have, ", ")
	if have == "" {
		have = "nothing"
	}
	return fmt.Sprintf("%v: %s wants %s, welcome signers stated %s", ErrAttestation, e.Wanted.Name, e.Wanted.PredicateType, have)
}

func (e *AttestationError) Unwrap() error {
	if e.Err != nil {
		return e.Err
	}
	return ErrAttestation
}
