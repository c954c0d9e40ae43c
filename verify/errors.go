// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/internal/document"
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
	ErrLogEntry      = trust.ErrLogEntry
	ErrTimestamp     = trust.ErrTimestamp
	ErrCertificate   = trust.ErrCertificate
	ErrSCT           = trust.ErrSCT
	ErrSignature     = trust.ErrSignature
	ErrLogKey        = trust.ErrLogKey
	ErrClock         = trust.ErrClock
	ErrStatement     = provenance.ErrStatement
	ErrPredicateType = binding.ErrPredicateType
	ErrSubject       = binding.ErrSubject
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
		{ErrEmbedding, "broken-embedding", deny, "what stands where a bundle belongs is none"},
		{ErrTooLarge, "too-large", deny, "a document is larger than is read"},
		{ErrMalformed, "malformed-document", deny, "an index, manifest or config is broken or ambiguous"},
		{ErrDigest, "digest-mismatch", deny, "bytes do not hash to the digest they were asked for by"},
		{ErrNesting, "nested-too-deep", deny, "an index in an index in an index"},
		{ErrTooMany, "too-many-manifests", deny, "more manifests for one platform than are looked at"},
		{ErrNoPlatform, "no-platform", deny, "the index has no manifest for the platform"},
		{ErrBundle, "malformed-bundle", deny, "not a Sigstore bundle of a known version"},
		{ErrEnvelope, "envelope", deny, "not exactly one in-toto statement under one signature"},
		{ErrKeyed, "keyed", deny, "signed with a bare key"},
		{ErrLogEntry, "log-entry", deny, "no provable entry in a trusted transparency log"},
		{ErrTimestamp, "timestamp", deny, "no trusted time of signing"},
		{ErrCertificate, "certificate", deny, "the certificate is not trusted at the time of signing"},
		{ErrSCT, "sct", deny, "no trusted certificate transparency log has seen the certificate"},
		{ErrSignature, "signature", deny, "the signature does not fit the statement"},
		{ErrLogKey, "log-key", deny, "the log's key was not in force at the time of signing"},
		{ErrStatement, "statement", deny, "what was signed is not an in-toto v1 statement"},
		{ErrPredicateType, "predicate-type", deny, "what was signed is not SLSA provenance"},
		{ErrSubject, "subject", deny, "signed for another image"},
		{ErrPlatform, "platform", deny, "signed for another platform"},
		{ErrLazyLayer, "lazy-layer", deny, "a lazily loaded layer needs a signed manifest digest"},
		{ErrAuthority, "authority", deny, "certificate of another authority than the policy names"},
		{ErrIdentity, "identity", deny, "signed by somebody the policy does not name"},
		{ErrStatic, "static-fail", deny, "refused by a static policy"},
		{ErrNoMatch, "no-match", deny, "no policy is about this image"},
		{ErrNoPolicy, "no-policy", deny, "the policy folder is empty"},
		{ErrName, "name", deny, "the image name cannot be understood"},
		{ErrNotFound, "not-found", undecided, "content that should be there is not"},
		{ErrAccess, "access", undecided, "the registry wants other credentials"},
		{ErrUnreachable, "unreachable", undecided, "the registry gave no answer"},
		{context.DeadlineExceeded, "timeout", undecided, "it took too long"},
		{context.Canceled, "cancelled", undecided, "the caller gave up"},
		{ErrOffline, "offline", undecided, "the network is needed and ruled out"},
		{ErrLayout, "layout", undecided, "the OCI image layout cannot be read"},
		{ErrClock, "clock", undecided, "a signature from the future: a clock is wrong"},
		{ErrTrustRoot, "trust-root", undecided, "the trusted root is missing or broken"},
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
