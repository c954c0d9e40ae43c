// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/durable"
	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/decision"
)

// Schema identifies the form of a file: a line with the SHA-256 of everything
// after it, then one JSON document.
const Schema = "https://plombproject.github.io/verdict/v1"

const (
	suffix = ".verdict"
	// maxRecord bounds a file, in bytes. A decision has some kilobytes.
	maxRecord = 1 << 20
)

// record is what a file says.
type record struct {
	Schema   string            `json:"schema"`
	Basis    Basis             `json:"basis"`
	Decision decision.Decision `json:"decision"`
}

func (r record) id() string {
	return idOf(r.Basis.Policy, r.Decision.Image.Name, r.Decision.Image.Digest)
}

// check refuses what is never written.
func (r record) check() error {
	switch {
	case r.Schema != Schema:
		return fmt.Errorf("schema is %q, want %s", r.Schema, Schema)
	case r.Decision.Schema != decision.Schema:
		return fmt.Errorf("the decision's schema is %q, want %s", r.Decision.Schema, decision.Schema)
	case r.Decision.Verdict != decision.Allow:
		return fmt.Errorf("verdict is %q, want %s", r.Decision.Verdict, decision.Allow)
	case r.Decision.Basis.Policy != r.Basis.Policy:
		return fmt.Errorf("the decision is by policy %s, want %s", r.Decision.Basis.Policy, r.Basis.Policy)
	case r.Decision.DecidedAt.IsZero():
		return errors.New("decidedAt is missing")
	}
	return r.Decision.Image.Digest.Validate()
}

func encode(r record) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	body = append(body, '\n')
	return append([]byte(digest.FromBytes(body).String()+"\n"), body...), nil
}

// parse reads a file. The checksum is against disks and crashes: whoever can
// write the folder is root.
func parse(data []byte) (record, error) {
	var r record
	sum, body, ok := bytes.Cut(data, []byte("\n"))
	if !ok || digest.FromBytes(body).String() != string(sum) {
		return r, fmt.Errorf("%w: the checksum does not fit", ErrCorrupt)
	}
	if err := strictjson.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err := r.check(); err != nil {
		return r, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return r, nil
}

func readRecord(path string) (record, error) {
	data, err := limit.ReadFile(path, maxRecord)
	if err != nil {
		return record{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	r, err := parse(data)
	if err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func writeRecord(path string, r record) error {
	data, err := encode(r)
	if err != nil {
		return fmt.Errorf("verdicts: %w", err)
	}
	if len(data) > maxRecord {
		return fmt.Errorf("verdicts: %s: %w: %d bytes", path, limit.ErrTooLarge, len(data))
	}
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("verdicts: %w", err)
	}
	return nil
}
