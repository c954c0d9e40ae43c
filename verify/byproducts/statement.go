// SPDX-License-Identifier: Apache-2.0

package byproducts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

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
var ErrStatement = errors.New("not an in-toto statement")

// A Statement is an attestation that has been read. Nothing in it is to be
// believed unless Check says that it is signed.
type Statement struct {
	// Predicate are the bytes of the predicate, exactly as stored, without the
	// white space around them.
	Predicate []byte
	// Digest is the SHA-256 of Predicate.
	Digest digest.Digest
	size   int64
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
	predicateType, predicate, err := Split(data)
	if err != nil {
		return nil, err
	}
	if predicateType != e.PredicateType {
		return nil, fmt.Errorf("%w: its predicateType is %q, the manifest says %q", ErrStatement, predicateType, e.PredicateType)
	}
	return &Statement{Predicate: predicate, Digest: document.Digest(predicate), size: int64(len(data))}, nil
}

// Split takes an in-toto statement apart: the predicate is a slice of data. Only
// the statement itself is looked at strictly: what is in the predicate is
// covered by its digest as a whole, and may be large.
func Split(data []byte) (predicateType string, predicate []byte, err error) {
	if !utf8.Valid(data) {
		return "", nil, fmt.Errorf("%w: invalid UTF-8", ErrStatement)
	}
	members, err := members(data)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	if err := json.Unmarshal(members["predicateType"], &predicateType); err != nil || predicateType == "" {
		return "", nil, fmt.Errorf("%w: it has no predicateType", ErrStatement)
	}
	predicate = members["predicate"]
	if len(predicate) == 0 || predicate[0] != '{' {
		return "", nil, fmt.Errorf("%w: its predicate is not an object", ErrStatement)
	}
	return predicateType, predicate, nil
}

// known are the members of a statement: another spelling of one of them is one
// to some decoders.
var known = []string{"_type", "subject", "predicateType", "predicate"}

// members are the values of the outermost object, as slices of data.
func members(data []byte) (map[string][]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("it is not an object")
	}
	values, seen := map[string][]byte{}, map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := tok.(string)
		if err := checkKey(key, seen); err != nil {
			return nil, err
		}
		var v extent
		if err := dec.Decode(&v); err != nil {
			return nil, err
		}
		end := int(dec.InputOffset())
		values[key] = data[end-int(v) : end]
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("trailing data at byte %d", dec.InputOffset())
	}
	return values, nil
}

func checkKey(key string, seen map[string]bool) error {
	folded := string(bytes.ToLower(bytes.ToUpper([]byte(key))))
	if seen[folded] {
		return fmt.Errorf("repeated key %q", key)
	}
	seen[folded] = true
	for _, name := range known {
		if key != name && folded == strings.ToLower(name) {
			return fmt.Errorf("key %q is another spelling of %q", key, name)
		}
	}
	return nil
}

// extent is the length of a value, of which no copy is made.
type extent int

// UnmarshalJSON implements json.Unmarshaler.
func (e *extent) UnmarshalJSON(value []byte) error {
	*e = extent(len(value))
	return nil
}
