// SPDX-License-Identifier: Apache-2.0

// Package trust verifies a Sigstore bundle under one trust: who may have signed
// (a certificate authority, or public keys), which transparency log must have
// the signature, and which authority must have put a time to it. What comes out
// is what was signed and by whom.
//
// It follows the Sigstore client specification
// (https://github.com/sigstore/architecture-docs/blob/main/client-spec.md) with
// sigstore-go's steps, and closes what sigstore-go leaves open. Several roots
// are never merged: what is taken from which root is said for each purpose.
//
// It does not know what the payload is about, nor who is welcome: the binding
// and policy steps do.
package trust

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
)

// MaxRoot bounds a trusted root, in bytes. The public one has about 10 kB.
const MaxRoot = 4 << 20

// ErrRoot reports a trusted root that is missing, broken, or so empty that no
// bundle could be verified with it.
var ErrRoot = errors.New("trusted root")

// A Root is one trust instance: the keys and certificates of one Sigstore. It
// may lack parts; NewVerifier refuses one that lacks what is asked of it.
type Root struct {
	material  *root.TrustedRoot
	operators map[string]string
	digest    digest.Digest
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
	r, err := Decode(data)
	if err != nil {
		return nil, err
	}
	return r, checkComplete(r.material)
}

// Decode is Parse for a root that need not stand alone: one of logs only, or
// that of an instance without logs, as GitHub's for private repositories.
func Decode(data []byte) (*Root, error) {
	if err := strictjson.Check(data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	document, err := root.NewTrustedRootProtobuf(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	material, err := root.NewTrustedRootFromProtobuf(document)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	return &Root{material: material, operators: operatorsOf(document), digest: digest.FromBytes(data)}, nil
}

// operatorsOf says who runs which log and timestamp authority, by its address:
// two of one operator are one witness.
func operatorsOf(document *prototrustroot.TrustedRoot) map[string]string {
	operators := map[string]string{}
	for _, log := range document.GetTlogs() {
		if log.GetOperator() != "" {
			operators[log.GetBaseUrl()] = log.GetOperator()
		}
	}
	for _, tsa := range document.GetTimestampAuthorities() {
		if tsa.GetOperator() != "" {
			operators[tsa.GetUri()] = tsa.GetOperator()
		}
	}
	return operators
}

// operator is who runs what is at the address, or the address, where the root
// does not say.
func (r *Root) operator(url string) string {
	if name, ok := r.operators[url]; ok {
		return name
	}
	return strings.TrimSuffix(url, "/")
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

// HasCTLogs reports whether the root knows a certificate transparency log.
// GitHub's instance for private repositories has none.
func (r *Root) HasCTLogs() bool { return len(r.material.CTLogs()) > 0 }
