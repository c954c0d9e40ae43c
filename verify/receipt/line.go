// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/strictjson"
)

// MaxLine bounds a line of the log, in bytes without its line feed. It keeps
// who makes an image from filling the log of who refuses it.
const MaxLine = 256 << 10

const (
	// maxRefusal is from how many bytes on a receipt of a refusal is abridged.
	// One can be had as often as somebody asks, and a disk without room for
	// receipts keeps a node that enforces from starting anything.
	maxRefusal = 16 << 10

	// What a receipt that would be longer than MaxLine keeps of its parts.
	abridgedText = 4 << 10 // bytes of a text
	abridgedList = 16      // entries of a list
)

// errLine reports a line that is no receipt.
var errLine = errors.New("not a receipt")

// encode writes a receipt as one line without its line feed: the members in
// the order of the struct, no white space between them, UTC times.
func encode(r Receipt) ([]byte, error) {
	r.Schema = Schema
	r.Time, r.DecidedAt = r.Time.UTC(), r.DecidedAt.UTC()
	most := MaxLine
	if !r.Admitted {
		most = maxRefusal
	}
	line, err := marshal(r)
	if err == nil && len(line) > most {
		line, err = marshal(r.abridge())
	}
	if err != nil {
		return nil, err
	}
	if len(line) > MaxLine {
		return nil, fmt.Errorf("the receipt has %d bytes, want at most %d", len(line), MaxLine)
	}
	return line, nil
}

// marshal leaves <, > and & as they are, which json.Marshal does not.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// abridge keeps what says which image, what and why, and drops details whose
// length an image's maker chose.
func (r Receipt) abridge() Receipt {
	r.Abridged = true
	for _, text := range []*string{&r.Node, &r.Name, &r.Reason, &r.Note, &r.Subject, &r.Verifier, &r.Code, &r.By, &r.Mode} {
		*text = cut(*text)
	}
	r.Rules, r.Signers = nil, nil
	for _, list := range []*[]digest.Digest{&r.Indexes, &r.Manifests, &r.Configs, &r.Bundles, &r.TrustRoots} {
		*list = (*list)[:min(len(*list), abridgedList)]
	}
	return r
}

// cut shortens a text, not in the middle of a character.
func cut(text string) string {
	if len(text) <= abridgedText {
		return text
	}
	end := abridgedText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// parse reads a line. Members that it does not know are none of its business:
// the chain is over bytes, so nothing hides in them.
func parse(line []byte) (Receipt, error) {
	var r Receipt
	if len(line) > MaxLine {
		return r, fmt.Errorf("%w: it is longer than %d bytes", errLine, MaxLine)
	}
	if err := strictjson.UnmarshalOpen(line, &r); err != nil {
		return r, fmt.Errorf("%w: %w", errLine, err)
	}
	if r.Schema != Schema {
		return r, fmt.Errorf("%w: its schema is %q, want %s", errLine, r.Schema, Schema)
	}
	if r.Previous != "" {
		if err := r.Previous.Validate(); err != nil || r.Previous.Algorithm() != digest.SHA256 {
			return r, fmt.Errorf("%w: previous is no SHA-256 but %q", errLine, r.Previous)
		}
	}
	return r, nil
}

// hash is what the next line names as previous.
func hash(line []byte) digest.Digest { return digest.SHA256.FromBytes(line) }
