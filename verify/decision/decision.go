// SPDX-License-Identifier: Apache-2.0

// Package decision is the outcome of a verification as data: what was decided,
// by which rule, on which evidence, and when it could change. docs/verify.md
// is its specification.
//
// It decides nothing itself, and reads nothing.
package decision

import (
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Schema identifies the JSON form of a Decision. A change that would break a
// reader gets a new number; added members do not.
const Schema = "https://plombproject.github.io/decision/v1"

// Verdict is what was decided. The zero value is none of them and admits
// nothing.
type Verdict string

const (
	// Allow: every policy that matches is satisfied, or only warns.
	Allow Verdict = "allow"
	// Deny: the evidence is missing or bad, or the policy says no.
	Deny Verdict = "deny"
	// Undecided: it could not be checked. Nothing is known for or against the
	// image; it is not admitted either.
	Undecided Verdict = "undecided"
)

// A Decision is the outcome for one image.
type Decision struct {
	Schema  string  `json:"schema"`
	Verdict Verdict `json:"verdict"`
	// Code is the reason code of the refusal that decided, empty for allow.
	Code string `json:"code,omitempty"`
	// Reason is one line for people.
	Reason string `json:"reason"`
	// Image is what was asked about.
	Image Image `json:"image"`
	// Rules are the policies that match the image.
	Rules []Rule `json:"rules"`
	// Manifests are the manifests that this node could run.
	Manifests []Manifest `json:"manifests"`
	// Checks are all checks made, in their order.
	Checks []Check `json:"checks"`
	// Basis is everything the verdict rests on.
	Basis Basis `json:"basis"`
	// Warnings are refusals of policies in warn mode.
	Warnings []string `json:"warnings,omitempty"`
	// Attestations are the attestations beside an allowed image, if they were
	// asked for.
	Attestations []Attestation `json:"attestations,omitempty"`
	// Requests is how many requests the registry answered.
	Requests int `json:"requests"`
	// DecidedAt is the time on the clock of the machine that decided.
	DecidedAt time.Time `json:"decidedAt"`
	// ChangesAt is the earliest time at which the same question could get
	// another answer without anything but the clock having changed. Absent:
	// never, since a signature counts by its time of signing.
	ChangesAt *time.Time `json:"changesAt,omitempty"`
}

// Image is a name and the digest that the runtime will run. The name scopes
// the policy; it was not resolved again.
type Image struct {
	Name   string        `json:"name"`
	Digest digest.Digest `json:"digest"`
}

// String is NAME@DIGEST.
func (i Image) String() string {
	if i.Digest == "" {
		return i.Name
	}
	return i.Name + "@" + i.Digest.String()
}

// A Rule is a policy that matches the image, and what it says.
type Rule struct {
	Name string `json:"name"`
	// Origin is file:line.
	Origin string `json:"origin"`
	// Mode is enforce or warn.
	Mode string `json:"mode"`
	// Verdict is what this policy alone says.
	Verdict Verdict `json:"verdict"`
	// Authority is the one that was satisfied, with its file:line.
	Authority       string `json:"authority,omitempty"`
	AuthorityOrigin string `json:"authorityOrigin,omitempty"`
	// Reason is why it was not satisfied.
	Reason string `json:"reason,omitempty"`
}

// A Manifest is one that the node could run, and who signed for it.
type Manifest struct {
	Digest   digest.Digest `json:"digest"`
	Config   digest.Digest `json:"config,omitempty"`
	Platform string        `json:"platform,omitempty"`
	Verdict  Verdict       `json:"verdict"`
	// Signers are those whose signature for this manifest is valid, welcome
	// or not.
	Signers []Signer `json:"signers"`
}

// A Signer is who made a claim about the manifest, and what claim it is.
type Signer struct {
	// Issuer and Subject are the certificate's, for a keyless signature.
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
	// Key is the SHA-256 of the public key, for a signature by a bare key.
	Key digest.Digest `json:"key,omitempty"`
	// X509 is the name in a Notary Project certificate.
	X509 string `json:"x509,omitempty"`
	// SignedAt is the trusted time of signing, absent if nobody vouches for one.
	SignedAt *time.Time `json:"signedAt,omitempty"`
	// Bundle is the SHA-256 of the signature as it was found, and Where the
	// place.
	Bundle digest.Digest `json:"bundle"`
	Where  string        `json:"where,omitempty"`
	// Format is bundle, legacy or notation.
	Format string `json:"format,omitempty"`
	// Kind is signature or attestation.
	Kind string `json:"kind,omitempty"`
	// Scope says by what the claim is bound to the manifest: index, manifest,
	// image-id, chain.
	Scope         string `json:"scope,omitempty"`
	PredicateType string `json:"predicateType,omitempty"`
	// Logged reports that a trusted transparency log has it.
	Logged bool `json:"logged,omitempty"`
	// Names are the image names that were signed along.
	Names []string `json:"names,omitempty"`
	// Foretold are the manifests that the signature foretells for this
	// platform; none if it speaks of the image ID alone. A manifest that is
	// not among them has the same content in another compression.
	Foretold []digest.Digest `json:"foretold,omitempty"`
}

// An Attestation is a statement beside the image. It is never a reason for the
// verdict.
type Attestation struct {
	Platform string `json:"platform"`
	// Status is signed, unsigned, missing or unknown: whether the verified
	// provenance names these very bytes.
	Status string `json:"status"`
	// Reason is why it is not signed.
	Reason        string `json:"reason,omitempty"`
	PredicateType string `json:"predicateType,omitempty"`
	// Name and MediaType are those of the byproduct in the provenance.
	Name      string `json:"name,omitempty"`
	MediaType string `json:"mediaType,omitempty"`
	// Digest is that of the predicate's bytes: as they are, or for missing as
	// the provenance has it.
	Digest digest.Digest `json:"digest,omitempty"`
	// Blob is the statement around them, as the registry stores it.
	Blob digest.Digest `json:"blob,omitempty"`
	Size int64         `json:"size,omitempty"`
}

// Outcome is how a check ended.
type Outcome string

const (
	// Pass: it holds.
	Pass Outcome = "pass"
	// Fail: it does not.
	Fail Outcome = "fail"
	// Unknown: it could not be checked.
	Unknown Outcome = "unknown"
)

// A Check is one thing that was looked at.
type Check struct {
	// Step is policy, image, evidence, trust, binding or identity.
	Step string `json:"step"`
	// Object is what was looked at: a digest, a place, a policy.
	Object  string  `json:"object"`
	Outcome Outcome `json:"outcome"`
	// Code is the reason code, empty for a pass.
	Code string `json:"code,omitempty"`
	// Detail is one line for people.
	Detail string `json:"detail,omitempty"`
}

// Basis lists the digests of everything a verdict rests on.
type Basis struct {
	Indexes   []digest.Digest `json:"indexes,omitempty"`
	Manifests []digest.Digest `json:"manifests,omitempty"`
	Configs   []digest.Digest `json:"configs,omitempty"`
	Bundles   []digest.Digest `json:"bundles,omitempty"`
	Policy    digest.Digest   `json:"policy,omitempty"`
	// TrustRoots are the trusted roots that policies rest on, and TrustRoot the
	// first of them.
	TrustRoot  digest.Digest   `json:"trustRoot,omitempty"`
	TrustRoots []digest.Digest `json:"trustRoots,omitempty"`
}

// Line says the decision on one line: verdict, image, reason.
func (d *Decision) Line() string {
	words := map[Verdict]string{Allow: "allowed", Deny: "denied", Undecided: "undecided"}
	word, ok := words[d.Verdict]
	if !ok {
		word = words[Undecided]
	}
	if image := d.Image.String(); image != "" {
		word += ": " + image
	}
	return OneLine(word + ": " + d.Reason)
}

// OneLine joins the lines of s and drops what a terminal would act on: parts of
// a reason were chosen by whoever made the image.
func OneLine(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
}
