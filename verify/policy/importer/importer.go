// SPDX-License-Identifier: Apache-2.0

// Package importer turns policies of other programs into documents that package
// policy reads: containers-policy.json(5) of the containers libraries, the
// Notary Project's trustpolicy.json, and the ImageVerificationConfig of Talos
// Linux.
//
// Those programs let the most specific or the first matching rule win; here all
// policies that are about an image have to be satisfied. The importer writes a
// policy only where both come to the same verdict for every image name, see
// precedence.go. What cannot be expressed is refused by name with its place:
// nothing is dropped unless Source.Ignore names it.
package importer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/policy"
)

var (
	// ErrMalformed reports a file that its own program would not read either.
	ErrMalformed = errors.New("malformed policy")

	// ErrInexpressible reports a rule that policies here cannot express, or
	// not with the same meaning.
	ErrInexpressible = errors.New("cannot be imported")
)

const (
	// MaxFile bounds the policy and each file it refers to, in bytes.
	MaxFile = 1 << 20
	// maxScopes bounds the scopes or rules: they are compared pair by pair.
	maxScopes = 500
)

// A Source is the policy of another program.
type Source struct {
	// Name is the file, for messages and comments.
	Name string
	Data []byte
	// ReadFile reads keys and certificates that the policy names by path; nil
	// refuses such a policy. Whoever gives one bounds it.
	ReadFile func(path string) ([]byte, error)
	// Ignore are the transports of a containers-policy.json that are left out
	// although a node has no counterpart for them, such as docker-daemon.
	Ignore []string
}

// A Result is what became of a Source.
type Result struct {
	// Policy is a file of YAML documents. It can be without any document: then
	// the source admits nothing, and an empty policy folder does the same.
	Policy []byte
	// Notes are what an administrator has to know or do, a line each.
	Notes []string
}

// A Format is a program's policy that can be imported.
type Format struct {
	// Name is that of `plomb policy import --from`.
	Name string
	// Title says what it is on one line.
	Title  string
	Import func(Source) (*Result, error)
}

// Formats lists all formats.
func Formats() []Format {
	return []Format{
		{"containers-policy", "containers-policy.json(5) of podman, CRI-O and skopeo", ContainersPolicy},
		{"notation", "trustpolicy.json of the Notary Project", Notation},
		{"talos", "ImageVerificationConfig of Talos Linux", Talos},
	}
}

// reading is the import of one Source: it gathers every fault.
type reading struct {
	src    Source
	faults []error
	notes  []string
	roots  []root
}

func (r *reading) inexpressible(place, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%w: %s: %s: %s", ErrInexpressible, r.src.Name, place, fmt.Sprintf(format, args...)))
}

func (r *reading) malformed(place, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%w: %s: %s: %s", ErrMalformed, r.src.Name, place, fmt.Sprintf(format, args...)))
}

func (r *reading) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(r.notes, n) {
		r.notes = append(r.notes, n)
	}
}

// bounded refuses a source that is larger than is read.
func (r *reading) bounded() error {
	if len(r.src.Data) > MaxFile {
		return fmt.Errorf("%w: %s: %w: %d bytes, at most %d are read", ErrMalformed, r.src.Name, limit.ErrTooLarge, len(r.src.Data), MaxFile)
	}
	return nil
}

// file is the content of a file that the policy names.
func (r *reading) file(place, path string) ([]byte, bool) {
	if r.src.ReadFile == nil {
		r.inexpressible(place, "names the file %q, and files are not read here", path)
		return nil, false
	}
	data, err := r.src.ReadFile(path)
	if err != nil {
		r.faults = append(r.faults, fmt.Errorf("%w: %s: %s: %w", ErrMalformed, r.src.Name, place, err))
		return nil, false
	}
	return data, true
}

// finish writes the scopes as policies, unless there were faults.
func (r *reading) finish(scopes []scope) (*Result, error) {
	if len(scopes) > maxScopes {
		r.malformed("rules", "%d are more than are read, %d", len(scopes), maxScopes)
	}
	if len(r.faults) > 0 {
		return nil, errors.Join(r.faults...)
	}
	chosen := r.choose(scopes)
	if len(r.faults) > 0 {
		return nil, errors.Join(r.faults...)
	}
	if len(chosen) == 0 {
		r.note("everything is rejected: no policy is needed where there is no other")
	}
	text, err := r.render(chosen)
	if err != nil {
		return nil, err
	}
	// What is written has to be readable, whatever was read.
	if _, err := policy.FromFiles(r.src.Name, []policy.File{{Name: "imported.yaml", Data: text}}); err != nil {
		return nil, fmt.Errorf("%w: %s: the policies that it would become are not sound: %w", ErrInexpressible, r.src.Name, err)
	}
	return &Result{Policy: text, Notes: r.notes}, nil
}
