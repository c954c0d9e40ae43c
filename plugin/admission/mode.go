// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/plombproject/plomb/internal/strictjson"
)

// Mode is what a node does with an image that is not allowed.
type Mode string

const (
	// Audit admits it, and notes it.
	Audit Mode = "audit"
	// Warn admits it, and says so loudly.
	Warn Mode = "warn"
	// Enforce refuses it.
	Enforce Mode = "enforce"
)

// Modes are all of them, from the mildest on.
var Modes = []Mode{Audit, Warn, Enforce}

// maxState bounds mode and break-glass, in bytes.
const maxState = 64 << 10

// A State is the node's mode, and how it came to it.
type State struct {
	Mode Mode `json:"mode"`
	// Since is when it was set, and Reason why: by whom, or what reverted it.
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`
	// Probation is until when the agent goes back to audit by itself should
	// the node stop being ready; absent for never.
	Probation *time.Time `json:"probation,omitempty"`
}

// ReadMode reads the node's mode. It is Enforce if nobody set another one, and
// also, with an error, if the file is broken or others could have written it.
func ReadMode(path string) (State, error) {
	enforce := State{Mode: Enforce}
	data, err := readOwn(path, maxState, 0o022)
	if errors.Is(err, fs.ErrNotExist) {
		return enforce, nil
	}
	if err != nil {
		return enforce, fmt.Errorf("%w: the node's mode: %w; it counts as enforce", ErrFile, err)
	}
	var s State
	if err := strictjson.Unmarshal(data, &s); err != nil {
		return enforce, fmt.Errorf("%w: the node's mode: %s: %w; it counts as enforce", ErrFile, path, err)
	}
	if err := s.Mode.Check(); err != nil {
		return enforce, fmt.Errorf("%w: %s: %w; it counts as enforce", ErrFile, path, err)
	}
	return s, nil
}

// WriteMode sets the node's mode. Its folder must be there.
func WriteMode(path string, s State) error {
	if err := s.Mode.Check(); err != nil {
		return err
	}
	return writeJSON(path, s)
}

// Check refuses what is no mode.
func (m Mode) Check() error {
	for _, known := range Modes {
		if m == known {
			return nil
		}
	}
	return fmt.Errorf("mode is %q, want audit, warn or enforce", m)
}
