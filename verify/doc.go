// SPDX-License-Identifier: Apache-2.0

// Package verify turns a descriptor into a decision. It is one library with one
// verdict, for the command line, the node, the frontend's check of base images,
// and the audit.
//
// The steps, each a package of its own that knows none of the others:
//
//	policy     which rules are about this image name
//	image      which manifests behind the digest could be run
//	evidence   where bundles can be, and the bytes of them
//	trust      a bundle → a payload and who signed it
//	binding    does the payload speak of this manifest
//	policy     is the signer welcome
//	decision   the outcome, as data
//
// Only the digest counts: the name scopes the policy and is never resolved
// again. Whatever is missing, broken, too large, too slow or ambiguous refuses
// the image: errors.go has every reason.
//
// It never imports the frontend: what a build says of itself is in package
// provenance.
package verify
