// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/notation"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
)

// The refusals of verify, one sentinel each; those of a step are declared and
// documented by the step. Refusals, below, has their codes.
var (
	// ErrUnsigned: there is no bundle in any place where one could be.
	ErrUnsigned = errors.New("unsigned")
	// ErrManyCandidates: more bundles than anybody needs.
	ErrManyCandidates = errors.New("too many candidate bundles")
	// ErrRequest: the caller left something out.
	ErrRequest = errors.New("incomplete request")
	// ErrNotExamined: another policy had already refused the image, so the
	// evidence for this one was not looked at.
	ErrNotExamined = errors.New("not examined")
	// ErrUnwanted: a signature of a form that no policy asks for.
	ErrUnwanted = errors.New("another form of signature")
	// ErrPanic: a bug in this program. It admits nothing.
	ErrPanic = errors.New("the verifier failed")

	ErrName          = evidence.ErrReference
	ErrUnreachable   = evidence.ErrUnreachable
	ErrAccess        = evidence.ErrAccess
	ErrNotFound      = evidence.ErrNotFound
	ErrOffline       = evidence.ErrOffline
	ErrLayout        = evidence.ErrLayout
	ErrEmbedding     = evidence.ErrEmbedding
	ErrTooLarge      = limit.ErrTooLarge
	ErrDigest        = document.ErrDigest
	ErrMalformed     = document.ErrMalformed
	ErrNesting       = image.ErrNesting
	ErrTooMany       = image.ErrTooMany
	ErrNoPlatform    = image.ErrNoPlatform
	ErrTrustRoot     = trust.ErrRoot
	ErrBundle        = trust.ErrBundle
	ErrEnvelope      = trust.ErrEnvelope
	ErrKeyed         = trust.ErrKeyed
	ErrKeyless       = trust.ErrKeyless
	ErrMessage       = trust.ErrMessage
	ErrKey           = trust.ErrKey
	ErrTrust         = trust.ErrOptions
	ErrStale         = trust.ErrStale
	ErrLogEntry      = trust.ErrLogEntry
	ErrTimestamp     = trust.ErrTimestamp
	ErrCertificate   = trust.ErrCertificate
	ErrSCT           = trust.ErrSCT
	ErrSignature     = trust.ErrSignature
	ErrLogKey        = trust.ErrLogKey
	ErrClock         = trust.ErrClock
	ErrStatement     = document.ErrStatement
	ErrSubject       = binding.ErrSubject
	ErrPayload       = binding.ErrPayload
	ErrSimpleSigning = binding.ErrSimpleSigning
	ErrPlatform      = binding.ErrPlatform
	ErrLazyLayer     = binding.ErrLazyLayer
	ErrPolicy        = policy.ErrInvalid
	ErrUnsupported   = policy.ErrUnsupported
	ErrNoPolicy      = policy.ErrEmpty
	ErrNoMatch       = policy.ErrNoMatch
	ErrAuthority     = policy.ErrAuthority
	ErrIdentity      = policy.ErrIdentity
	ErrStatic        = policy.ErrStatic
)

// A Refusal is one row of the table of reasons not to admit an image.
type Refusal struct {
	Err error
	// Code is its stable name in a Decision.
	Code string
	// Verdict is deny, or undecided if it says nothing about the image.
	Verdict decision.Verdict
	// Meaning is one line for the documentation.
	Meaning string
}

const (
	deny      = decision.Deny
	undecided = decision.Undecided
)

// Refusals is the table, from the least to the most telling: of several
// reasons, the one furthest down is given first, because a bundle that got
// that far is the one people mean. docs/verify.md is checked against it.
func Refusals() []Refusal {
	return []Refusal{
		{ErrUnsigned, "unsigned", deny, "no bundle in any place where one could be"},
		{ErrManyCandidates, "too-many-candidates", deny, "more candidate bundles than are tried"},
		{ErrUnwanted, "unwanted-form", deny, "a signature of a form that no policy asks for"},
		{ErrEmbedding, "broken-embedding", deny, "what stands where a bundle belongs is none"},
		{ErrTooLarge, "too-large", deny, "a document is larger than is read"},
		{evidence.ErrManyReferrers, "too-many-referrers", deny, "more referrers than are looked at"},
		{ErrMalformed, "malformed-document", deny, "an index, manifest or config is broken or ambiguous"},
		{evidence.ErrForeign, "foreign-referrer", deny, "what is listed as referring to the image refers to another"},
		{evidence.ErrLegacy, "broken-legacy", deny, "what stands where a signature of cosign's old form belongs is none"},
		{ErrDigest, "digest-mismatch", deny, "bytes do not hash to the digest they were asked for by"},
		{ErrNesting, "nested-too-deep", deny, "an index in an index in an index"},
		{ErrTooMany, "too-many-manifests", deny, "more manifests for one platform than are looked at"},
		{ErrNoPlatform, "no-platform", deny, "the index has no manifest for the platform"},
		{ErrBundle, "malformed-bundle", deny, "not a Sigstore bundle of a known version"},
		{notation.ErrEnvelope, "notation-envelope", deny, "not an acceptable Notary Project signature envelope"},
		{ErrEnvelope, "envelope", deny, "not exactly one in-toto statement under one signature"},
		{ErrKeyed, "keyed", deny, "signed with a bare key, and a certificate is wanted"},
		{ErrKeyless, "keyless", deny, "signed with a certificate, and a key is wanted"},
		{ErrLogEntry, "log-entry", deny, "no provable entry in a trusted transparency log"},
		{ErrTimestamp, "timestamp", deny, "no trusted time of signing"},
		{ErrCertificate, "certificate", deny, "the certificate is not trusted at the time of signing"},
		{ErrSCT, "sct", deny, "no trusted certificate transparency log has seen the certificate"},
		{ErrSignature, "signature", deny, "the signature does not fit the statement"},
		{ErrLogKey, "log-key", deny, "the log's key was not in force at the time of signing"},
		{notation.ErrPlugin, "notation-plugin", deny, "the signature asks for a program to verify it, and none is run"},
		{notation.ErrCritical, "notation-critical", deny, "a Notary Project signature has a critical attribute that is not understood"},
		{notation.ErrUntrusted, "notation-untrusted", deny, "the certificate leads to no certificate authority of the trust stores"},
		{notation.ErrTimestamp, "notation-timestamp", deny, "no trusted timestamp on a Notary Project signature"},
		{notation.ErrValidity, "notation-validity", deny, "the certificate was not valid at the time that counts"},
		{notation.ErrExpired, "notation-expired", deny, "the Notary Project signature has expired"},
		{notation.ErrRevoked, "notation-revoked", deny, "the certificate is revoked"},
		{notation.ErrSignature, "notation-signature", deny, "the Notary Project signature does not fit its envelope"},
		{ErrMessage, "message", deny, "a signature over something else than the image"},
		{ErrPayload, "payload", deny, "what was signed is of an unknown kind"},
		{notation.ErrPayload, "notation-payload", deny, "what was signed is no payload of a Notary Project signature"},
		{ErrSimpleSigning, "simple-signing", deny, "what was signed is no simple signing document of cosign"},
		{ErrStatement, "statement", deny, "what was signed is not an in-toto statement"},
		{ErrSubject, "subject", deny, "signed for another image"},
		{ErrPlatform, "platform", deny, "signed for another platform"},
		{ErrLazyLayer, "lazy-layer", deny, "a lazily loaded layer needs a signed manifest digest"},
		{ErrAuthority, "authority", deny, "certificate of another authority than the policy names"},
		{notation.ErrIdentity, "notation-identity", deny, "signed by an X.509 name that the policy does not have"},
		{ErrIdentity, "identity", deny, "signed by somebody the policy does not name"},
		{policy.ErrFormat, "signature-format", deny, "a signature in another format than the policy wants"},
		{policy.ErrNoSignature, "no-signature", deny, "an attestation by a welcome signer, and a signature is wanted"},
		{policy.ErrAttestation, "attestation", deny, "an attestation that the policy wants is missing"},
		{policy.ErrInnerPolicy, "inner-policy", deny, "refused by a policy in CUE or Rego"},
		{policy.ErrNoProvenance, "no-provenance", deny, "a condition is about the provenance, and there is none"},
		{policy.ErrProvenance, "provenance", deny, "the provenance cannot be read"},
		{policy.ErrNoTime, "no-time", deny, "nothing trusted says when it was built, signed or scanned"},
		{policy.ErrExpired, "exception-expired", deny, "an exception that would have helped is over"},
		{policy.ErrStale, "stale", deny, "the build, the signature or the scan is too old"},
		{policy.ErrNoSignedName, "no-signed-name", deny, "no image name was signed, and the policy wants one"},
		{policy.ErrSignedName, "signed-name", deny, "signed under another image name"},
		{policy.ErrByproduct, "byproduct", deny, "a document that the provenance should vouch for is missing or another one"},
		{policy.ErrNoSBOM, "no-sbom", deny, "a condition is about packages, and there is no signed SBOM"},
		{policy.ErrSBOM, "sbom", deny, "the signed SBOM cannot be read"},
		{policy.ErrPackage, "package", deny, "a package that the policy bans"},
		{policy.ErrIncomplete, "incomplete", deny, "the provenance does not tell all materials"},
		{policy.ErrMaterial, "material", deny, "made from a material that the policy bans"},
		{policy.ErrBaseImage, "base-image", deny, "a policy refuses a base image"},
		{policy.ErrRuleAnswer, "rule-answer", deny, "a rule in CEL or Rego has no answer"},
		{policy.ErrRule, "rule", deny, "a rule in CEL or Rego does not hold"},
		{policy.ErrLazy, "lazy", deny, "lazily loaded layers, and the policy wants none"},
		{policy.ErrDenied, "denied", deny, "the image or its signer is on a deny list"},
		{ErrStatic, "static-fail", deny, "refused by a static policy"},
		{ErrNoMatch, "no-match", deny, "no policy is about this image"},
		{ErrNoPolicy, "no-policy", deny, "the policy folder is empty"},
		{ErrName, "name", deny, "the image name cannot be understood"},
		{policy.ErrNeedsPod, "needs-pod", undecided, "the policy depends on the pod, which a node does not see"},
		{policy.ErrNoResult, "no-result", undecided, "a policy in CUE or Rego came to no result"},
		{ErrAttestationsUnknown, "attestations-unknown", undecided, "an attestation could not be read"},
		{ErrMaterialUnknown, "base-image-unknown", undecided, "a base image could not be checked"},
		{ErrNotFound, "not-found", undecided, "content that should be there is not"},
		{ErrAccess, "access", undecided, "the registry wants other credentials"},
		{ErrUnreachable, "unreachable", undecided, "the registry gave no answer"},
		{context.DeadlineExceeded, "timeout", undecided, "it took too long"},
		{context.Canceled, "cancelled", undecided, "the caller gave up"},
		{ErrOffline, "offline", undecided, "the network is needed and ruled out"},
		{ErrLayout, "layout", undecided, "the OCI image layout cannot be read"},
		{ErrClock, "clock", undecided, "a signature from the future: a clock is wrong"},
		{notation.ErrClock, "notation-clock", undecided, "a Notary Project signature from the future: a clock is wrong"},
		{notation.ErrRevocation, "notation-revocation", undecided, "it is not known whether the certificate is revoked"},
		{notation.ErrStore, "trust-store", undecided, "a trust store of the Notary Project is missing or broken"},
		{notation.ErrOptions, "notation-policy", undecided, "a trust policy for Notary Project signatures cannot be used"},
		{ErrKey, "key", undecided, "a public key of the policy is broken, or of a kind that is not accepted"},
		{ErrTrust, "trust", undecided, "what a policy trusts makes no verifier"},
		{ErrTrustRoot, "trust-root", undecided, "the trusted root is missing or broken"},
		{ErrStale, "trust-stale", undecided, "the trusted root was not renewed for too long"},
		{ErrUnsupported, "policy-unsupported", undecided, "a policy uses a field that is not yet supported"},
		{ErrPolicy, "policy-invalid", undecided, "a policy is missing or broken"},
		{ErrNotExamined, "not-examined", undecided, "another policy had already refused the image"},
		{ErrRequest, "request", undecided, "the caller left something out"},
		{ErrPanic, "panic", undecided, "the verifier failed"},
	}
}

// CodeInternal is the code of an error that is not in the table.
const CodeInternal = "internal"

// classify finds the row of the table that an error belongs to, the furthest
// down if it wraps several. What is not in the table is undecided: it says
// nothing about the image.
func classify(err error) (code string, verdict decision.Verdict, rank int) {
	table := Refusals()
	for i := len(table) - 1; i >= 0; i-- {
		if errors.Is(err, table[i].Err) {
			return table[i].Code, table[i].Verdict, i
		}
	}
	return CodeInternal, undecided, len(table)
}
