// SPDX-License-Identifier: Apache-2.0

// Package verify turns a descriptor into a decision. It is one library with one
// verdict, for the command line, the node, the frontend's check of base images,
// and the audit.
//
// The steps, each a package of its own that knows none of the others:
//
//	policy           which rules are about this image name
//	image            which manifests behind the digest could be run
//	evidence         where signatures can be, and the bytes of them
//	trust, notation  a signature → what was signed, and by whom
//	binding          does that speak of this manifest? If so it is a claim
//	policy           are the claims enough?
//	decision         the outcome, as data
//
// The files of this package put them together, in the order of the flow:
//
//	verify.go        Verify, and what it has to be asked with
//	trusts.go        the verifiers for what a policy trusts; roots.go: its roots
//	examine.go       one manifest: candidates, weighed until it is enough
//	dossier.go       what was learnt about it; chain.go, materials.go: further
//	conclude.go      the rules judged, and the decision
//	blob.go          the same for an artifact that is no image
//	suppose.go       the same for claims that somebody only supposes
//
// Only the digest counts: the name scopes the policy and is never resolved
// again. Whatever is missing, broken, too large, too slow or ambiguous refuses
// the image: errors.go has every reason.
//
// It never imports the frontend: what a build says of itself is in package
// provenance.
package verify
