// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/plombproject/plomb/internal/strictjson"
)

// ErrStatement reports bytes that are no in-toto statement, or that could be
// read as two.
var ErrStatement = errors.New("not an in-toto statement")

// MaxSubjects bounds the subjects of one statement. GitHub attests up to 1024
// artifacts at once.
const MaxSubjects = 1024

// A Statement is an in-toto statement of version 1 or 0.1, taken apart
// (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md).
type Statement struct {
	Type          string
	PredicateType string
	Subjects      []Subject
	// Predicate is a slice of the statement, which was not parsed.
	Predicate []byte
}

// A Subject is one artifact that a statement is about.
type Subject struct {
	Name        string            `json:"name"`
	Digest      map[string]string `json:"digest"`
	Annotations map[string]string `json:"annotations"`
}

// ParseStatement takes a statement apart. Only the statement itself is looked
// at strictly: the predicate is covered by its digest as a whole, and may be
// large. Members that the specification does not know are passed over, since
// it lets others add them.
func ParseStatement(data []byte) (*Statement, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: invalid UTF-8", ErrStatement)
	}
	members, err := members(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	var s Statement
	if err := json.Unmarshal(members["predicateType"], &s.PredicateType); err != nil || s.PredicateType == "" {
		return nil, fmt.Errorf("%w: it has no predicateType", ErrStatement)
	}
	s.Predicate = members["predicate"]
	if len(s.Predicate) == 0 || s.Predicate[0] != '{' {
		return nil, fmt.Errorf("%w: its predicate is not an object", ErrStatement)
	}
	if raw, ok := members["_type"]; ok {
		if err := json.Unmarshal(raw, &s.Type); err != nil {
			return nil, fmt.Errorf("%w: its _type: %w", ErrStatement, err)
		}
	}
	return &s, s.parseSubjects(members["subject"])
}

func (s *Statement) parseSubjects(raw []byte) error {
	if raw == nil {
		return nil
	}
	if err := strictjson.UnmarshalOpen(raw, &s.Subjects); err != nil {
		return fmt.Errorf("%w: its subjects: %w", ErrStatement, err)
	}
	if len(s.Subjects) > MaxSubjects {
		return fmt.Errorf("%w: it has %d subjects, at most %d are read", ErrStatement, len(s.Subjects), MaxSubjects)
	}
	return nil
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
