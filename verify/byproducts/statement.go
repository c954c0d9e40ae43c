// SPDX-License-Identifier: Apache-2.0

package byproducts

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/internal/document"
)

// Names that BuildKit gives its attestations.
const (
	annotationReferenceType   = "vnd.docker.reference.type"
	annotationReferenceDigest = "vnd.docker.reference.digest"
	attestationManifest       = "attestation-manifest"
	annotationPredicateType   = "in-toto.io/predicate-type"
	mediaTypeInToto           = "application/vnd.in-toto+json"
)

// ErrStatement reports what stands where an attestation belongs, and is none,
// or could be read in two ways.
var ErrStatement = document.ErrStatement

// A Statement is an attestation that has been read. Nothing in it is to be
// believed unless Check says that it is signed.
type Statement struct {
	// Predicate are the bytes of the predicate, exactly as stored, without the
	// white space around them.
	Predicate []byte
	// Digest is the SHA-256 of Predicate.
	Digest digest.Digest
	// Subjects are what the statement says it is about.
	Subjects []document.Subject
	size     int64
}

// Fetch reads the attestation that an entry lists.
func Fetch(ctx context.Context, store document.Store, e Entry) (*Statement, error) {
	if err := e.acceptable(); err != nil {
		return nil, err
	}
	return fetch(ctx, store, e, MaxStatement)
}

func fetch(ctx context.Context, store document.Store, e Entry, max int64) (*Statement, error) {
	data, err := document.Fetch(ctx, store, document.Blob, e.Layer, max)
	if err != nil {
		return nil, err
	}
	st, err := document.ParseStatement(data)
	if err != nil {
		return nil, err
	}
	if st.PredicateType != e.PredicateType {
		return nil, fmt.Errorf("%w: its predicateType is %q, the manifest says %q", ErrStatement, st.PredicateType, e.PredicateType)
	}
	return &Statement{Predicate: st.Predicate, Digest: document.Digest(st.Predicate), Subjects: st.Subjects, size: int64(len(data))}, nil
}

// Split takes an in-toto statement apart: the predicate is a slice of data.
func Split(data []byte) (predicateType string, predicate []byte, err error) {
	s, err := document.ParseStatement(data)
	if err != nil {
		return "", nil, err
	}
	return s.PredicateType, s.Predicate, nil
}
