// SPDX-License-Identifier: Apache-2.0

// Package strictjson decodes JSON that somebody else wrote: one value, no
// repeated keys, no unknown or differently spelled fields, valid UTF-8 and
// surrogate pairs, bounded depth. Two parsers that disagree about one document
// are how signatures get bypassed, so whatever could be read in two ways is
// refused.
//
// It does not bound the size of its input; the reader of the bytes does.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxDepth is how deeply objects and arrays may nest.
const MaxDepth = 64

// ErrStrict reports JSON that is broken or that could be read in two ways.
var ErrStrict = errors.New("strict JSON")

// Unmarshal decodes data into v. Fields that v does not have are errors.
func Unmarshal(data []byte, v any) error {
	quick := harmless(data, spellingsOf(v))
	if !quick {
		if err := checkSlowly(data); err != nil {
			return err
		}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrStrict, err)
	}
	if quick {
		return nil
	}
	return checkNames(data, v)
}

// UnmarshalOpen is Unmarshal for documents that a specification lets others
// extend, such as OCI manifests: unknown fields pass, everything else that
// Check refuses is still refused.
func UnmarshalOpen(data []byte, v any) error {
	quick := harmless(data, spellingsOf(v))
	if !quick {
		if err := checkSlowly(data); err != nil {
			return err
		}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrStrict, err)
	}
	if quick {
		return nil
	}
	return checkNames(data, v)
}

// Check reports whether data is exactly one JSON value without repeated keys.
// encoding/json matches field names without regard to case, so keys that
// differ only in case count as repeated.
func Check(data []byte) error {
	if harmless(data, nil) {
		return nil
	}
	return checkSlowly(data)
}

// checkSlowly is Check with a reason.
func checkSlowly(data []byte) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("%w: invalid UTF-8", ErrStrict)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := checkValue(dec, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("%w: trailing data at byte %d", ErrStrict, dec.InputOffset())
	}
	return checkEscapes(data)
}

func checkValue(dec *json.Decoder, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d at byte %d", ErrStrict, MaxDepth, dec.InputOffset())
	}
	tok, err := dec.Token()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStrict, err)
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	if delim == '{' {
		return checkObject(dec, depth)
	}
	for dec.More() {
		if err := checkValue(dec, depth+1); err != nil {
			return err
		}
	}
	return closing(dec)
}

func checkObject(dec *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrStrict, err)
		}
		key := fold(tok.(string))
		if seen[key] {
			return fmt.Errorf("%w: repeated key %q at byte %d", ErrStrict, tok, dec.InputOffset())
		}
		seen[key] = true
		if err := checkValue(dec, depth+1); err != nil {
			return err
		}
	}
	return closing(dec)
}

// closing consumes the bracket that ends an object or array.
func closing(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("%w: %w", ErrStrict, err)
	}
	return nil
}

// fold maps a key to what encoding/json compares field names by.
func fold(key string) string {
	return string(bytes.ToLower(bytes.ToUpper([]byte(key))))
}
