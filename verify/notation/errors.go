// SPDX-License-Identifier: Apache-2.0

package notation

import "errors"

// The refusals of this step. Those that say nothing about the image are marked
// "undecided"; none of these can be brought about by somebody who is not
// trusted.
var (
	// ErrOptions reports a trust policy that makes no sense. Undecided.
	ErrOptions = errors.New("unusable trust policy for Notary Project signatures")
	// ErrStore reports a trust store or a revocation list that cannot be
	// read. Undecided.
	ErrStore = errors.New("unusable trust store")

	// ErrEnvelope reports bytes that are not a Notary Project envelope of
	// the media type they came with, that could be read in two ways, or
	// whose certificates or algorithms the specification forbids.
	ErrEnvelope = errors.New("not a Notary Project signature")
	// ErrSignature reports a signature that does not fit what it is over.
	ErrSignature = errors.New("the signature does not fit the envelope")
	// ErrPayload reports a signed payload that does not name one artifact.
	ErrPayload = errors.New("not the payload of a Notary Project signature")
	// ErrCritical reports a signed attribute that is marked critical and not
	// known here.
	ErrCritical = errors.New("critical attribute that is not understood")
	// ErrPlugin reports a signature that only a plugin may verify.
	ErrPlugin = errors.New("the signature asks for a verification plugin")

	// ErrUntrusted reports a certificate that leads to no trust store of the
	// policy.
	ErrUntrusted = errors.New("the certificate leads to no trusted certificate authority")
	// ErrIdentity reports a trusted certificate with a subject that the
	// policy does not name.
	ErrIdentity = errors.New("signed by somebody the policy does not name")
	// ErrExpired reports a signature that the signer limited in time.
	ErrExpired = errors.New("the signature has expired")
	// ErrValidity reports a certificate that was not valid at the time that
	// counts: that of signing if somebody trusted vouches for it, else now.
	ErrValidity = errors.New("the certificate was not valid at the time that counts")
	// ErrTimestamp reports a timestamp countersignature that is missing,
	// broken, or of an authority that is not trusted.
	ErrTimestamp = errors.New("no trusted timestamp")
	// ErrClock reports a signature from the future: a clock is wrong.
	// Undecided.
	ErrClock = errors.New("signed in the future")
	// ErrRevoked reports a certificate that its authority has revoked.
	ErrRevoked = errors.New("the certificate is revoked")
	// ErrRevocation reports a certificate that can be revoked, and no
	// revocation list at hand that says whether it is. Undecided.
	ErrRevocation = errors.New("it is not known whether the certificate is revoked")
)
