// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

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
	data, err := readOwn(path)
	if short(err) {
		return record{}, fmt.Errorf("verdicts: %w", err)
	}
	if err != nil {
		return record{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	r, err := parse(data)
	if err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// readOwn reads a file that nobody else can have written, and no link to one.
func readOwn(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is no regular file")}
	case !ok || int(stat.Uid) != os.Geteuid():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("it belongs to another user")}
	case info.Mode().Perm()&0o022 != 0:
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("others can write to it")}
	}
	return limit.ReadAll(f, maxRecord)
}

// short tells that the process or the machine is short of something, which says
// nothing about the file.
func short(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
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
