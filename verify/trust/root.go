// SPDX-License-Identifier: Apache-2.0

// Package trust verifies a Sigstore bundle against one trusted root: the DSSE
// signature, the certificate chain at the time of signing, the certificate's
// transparency (SCT), the log entry and the timestamp. What comes out is a
// payload and who signed it.
//
// It follows the Sigstore client specification
// (https://github.com/sigstore/architecture-docs/blob/main/client-spec.md)
// through sigstore-go, and closes what sigstore-go leaves open. Several roots
// are never merged: each would be an instance of its own.
//
// It does not know what the payload is about, nor who is welcome: the binding
// and policy steps do.
package trust

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
)

// MaxRoot bounds a trusted root, in bytes. The public one has about 10 kB.
const MaxRoot = 4 << 20

// ErrRoot reports a trusted root that is missing, broken, or so empty that no
// bundle could be verified with it.
var ErrRoot = errors.New("trusted root")

// A Root is one trust instance: the keys and certificates of one Sigstore and
// the requirements a bundle has to meet under it.
type Root struct {
	material *root.TrustedRoot
	verifier *verify.Verifier
	digest   digest.Digest
}

// Load reads a trusted_root.json
// (https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto).
func Load(path string) (*Root, error) {
	data, err := limit.ReadFile(path, MaxRoot)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; name a trusted_root.json with --trusted-root or PLOMB_TRUSTED_ROOT", ErrRoot, err)
	}
	r, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Parse is Load for bytes.
func Parse(data []byte) (*Root, error) {
	if err := strictjson.Check(data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	material, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	if err := checkComplete(material); err != nil {
		return nil, err
	}
	// One verified entry or timestamp of each kind is required. A threshold
	// above one would have to count distinct operators, which sigstore-go
	// does not.
	v, err := verify.NewVerifier(material,
		verify.WithSignedCertificateTimestamps(1),
		verify.WithTransparencyLog(1),
		verify.WithObserverTimestamps(1),
		verify.WithoutStatementPredicate())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	return &Root{material: material, verifier: v, digest: digest.FromBytes(data)}, nil
}

// checkComplete refuses a root that would refuse everything for want of a part,
// so that the fault is named where it is.
func checkComplete(m *root.TrustedRoot) error {
	var missing []string
	if len(m.FulcioCertificateAuthorities()) == 0 {
		missing = append(missing, "certificateAuthorities")
	}
	if len(m.RekorLogs()) == 0 {
		missing = append(missing, "tlogs")
	}
	if len(m.CTLogs()) == 0 {
		missing = append(missing, "ctlogs")
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: it has no %s: nothing could be verified with it", ErrRoot, strings.Join(missing, ", "))
	}
	return nil
}

// Digest is the SHA-256 of the trusted root as it was read.
func (r *Root) Digest() digest.Digest { return r.digest }
