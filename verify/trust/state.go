// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/durable"
	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
)

const (
	// StateSchema names the form of state.json, which docs/trust.md specifies.
	StateSchema = "https://plombproject.github.io/trust-state/v1"

	// DefaultGrace is how long a trusted root is used after the metadata of
	// its repository expired. Other Sigstore clients stop at once; a node that
	// starts no container any more because a mirror is down for a day would
	// have verification turned off by its owner. docs/trust.md has the price.
	DefaultGrace = 30 * 24 * time.Hour

	// MaxGrace bounds what an administrator may set: beyond it, a file is
	// what is meant.
	MaxGrace = 366 * 24 * time.Hour

	rootFile  = "trusted_root.json"
	stateFile = "state.json"
	maxState  = 64 << 10
)

// A State says where the trusted root of an instance comes from, and how fresh
// it is.
type State struct {
	Schema string `json:"schema"`
	// TrustedRoot is the SHA-256 of trusted_root.json.
	TrustedRoot digest.Digest `json:"trustedRoot"`
	// Pending is the SHA-256 of the root that an update is about to put in its
	// place. It stays only where a crash came between the two.
	Pending digest.Digest `json:"pending,omitempty"`
	Source  Source        `json:"source"`
	// Updated is when the source was last asked with success; of a file, when
	// it was installed.
	Updated time.Time `json:"updated"`
	// Expires is when the first of the repository's metadata expires. A file
	// has none.
	Expires time.Time `json:"expires,omitzero"`
	// GraceSeconds is how long the root is used after Expires.
	GraceSeconds int64 `json:"graceSeconds,omitempty"`
	// Metadata are the roles of the repository: root, timestamp, snapshot,
	// targets, and those that targets delegates to.
	Metadata map[string]Metadata `json:"metadata,omitempty"`
	// Failure is the last attempt to update, where it failed.
	Failure *Failure `json:"failure,omitempty"`
}

// Source is a file, or a TUF repository.
type Source struct {
	// File is where the file was when it was installed.
	File string `json:"file,omitempty"`
	// Mirror is the URL of the repository.
	Mirror string `json:"mirror,omitempty"`
	// Targets is the folder of the repository's targets, and Target the one
	// that is the trusted root.
	Targets string `json:"targets,omitempty"`
	Target  string `json:"target,omitempty"`
	// InitialRoot is the SHA-256 of the root.json that trust began with.
	InitialRoot digest.Digest `json:"initialRoot,omitempty"`
}

// Metadata is one role of a TUF repository.
type Metadata struct {
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
}

// Failure is why an update failed, and when.
type Failure struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Grace is how long the root is used after Expires.
func (s *State) Grace() time.Duration { return time.Duration(s.GraceSeconds) * time.Second }

// UsableUntil is when the root gets too old unless it is updated, grace period
// included: a decision that rests on it may change then. A file has no such
// time: zero.
func (s *State) UsableUntil() time.Time {
	if s.Source.Mirror == "" {
		return time.Time{}
	}
	return s.Expires.Add(s.Grace())
}

// ParseState reads a state.json.
func ParseState(data []byte) (*State, error) {
	var s State
	if err := strictjson.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	return &s, s.check()
}

func (s *State) check() error {
	switch {
	case s.Schema != StateSchema:
		return fmt.Errorf("schema is %q, want %s", s.Schema, StateSchema)
	case (s.Source.File == "") == (s.Source.Mirror == ""):
		return errors.New("source has to be one of file and mirror")
	case s.Updated.IsZero():
		return errors.New("updated is missing")
	case s.Source.Mirror != "" && (s.Expires.IsZero() || s.Source.Target == "" || s.Source.InitialRoot == ""):
		return errors.New("a source with a mirror needs expires, target and initialRoot")
	case s.GraceSeconds < 0 || s.GraceSeconds > int64(MaxGrace/time.Second):
		return fmt.Errorf("graceSeconds is %d, want 0 to %d", s.GraceSeconds, int64(MaxGrace/time.Second))
	}
	if err := checkSHA256("trustedRoot", s.TrustedRoot); err != nil {
		return err
	}
	for field, dgst := range map[string]digest.Digest{"pending": s.Pending, "source.initialRoot": s.Source.InitialRoot} {
		if dgst != "" {
			if err := checkSHA256(field, dgst); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkSHA256(field string, dgst digest.Digest) error {
	if err := dgst.Validate(); err != nil || dgst.Algorithm() != digest.SHA256 {
		return fmt.Errorf("%s is %q, want a sha256 digest", field, dgst)
	}
	return nil
}

func readState(dir string) (*State, error) {
	path := filepath.Join(dir, stateFile)
	data, err := limit.ReadFile(path, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNoInstance, err)
	}
	if err != nil {
		return nil, err
	}
	s, err := ParseState(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; remove the folder and update it anew", path, err)
	}
	return s, nil
}

func (s *State) write(dir string) error {
	if err := s.check(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, stateFile), append(data, '\n'), 0o644)
}

// stale says why a root is too old at a time, or what to warn of.
func (s *State) stale(name string, now time.Time) (warnings []string, err error) {
	if s.Source.Mirror == "" {
		return nil, nil
	}
	remedy := "run plomb trust update " + name
	if now.Before(s.Updated.Add(-MaxSkew)) {
		return nil, fmt.Errorf("%w: this machine's clock says %s, and the root was updated at %s; set the clock", ErrStale, format(now), format(s.Updated))
	}
	if s.Failure != nil {
		warnings = append(warnings, fmt.Sprintf("trusted root %s: the update at %s failed: %s", name, format(s.Failure.At), s.Failure.Reason))
	}
	until := s.UsableUntil()
	switch {
	case now.After(until):
		return nil, fmt.Errorf("%w: last updated %s, its repository's metadata expired %s, and the grace period ended %s; %s", ErrStale,
			format(s.Updated), format(s.Expires), format(until), remedy)
	case now.After(s.Expires):
		warnings = append(warnings, fmt.Sprintf("trusted root %s: last updated %s, its repository's metadata expired %s; it is used until %s: %s", name,
			format(s.Updated), format(s.Expires), format(until), remedy))
	}
	return warnings, nil
}

func format(t time.Time) string { return t.UTC().Format(time.RFC3339) }
