// SPDX-License-Identifier: Apache-2.0

// Package provenance is the neck of plomb's hourglass: what a build says of
// itself, as plain data. The frontend writes it and verify reads it; neither
// knows the other.
//
// It holds the in-toto Statement v1
// (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md), the
// names of our subjects, and where the signed bundle travels inside an image
// index. The predicate is in slsa, and the making of the signed bundle in sign.
//
// It does no I/O and judges nothing.
package provenance
