// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/decision"
)

// MaxBreakGlass is the longest that the glass can be broken for.
const MaxBreakGlass = 12 * time.Hour

// maxReason bounds the reason of a break-glass, in bytes: it goes into every
// answer and receipt.
const maxReason = 1000

// A BreakGlass admits every image, for a reason and for some hours.
type BreakGlass struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
}

// String is the reason and the end.
func (b BreakGlass) String() string {
	return decision.OneLine(b.Reason) + ", until " + b.Until.UTC().Format(time.RFC3339)
}

// ReadBreakGlass returns the break-glass that is open at a time, or nil. One
// that others than its owner can write, that is not the user's who runs this,
// has no reason or lasts longer than MaxBreakGlass is an error and opens nothing.
func ReadBreakGlass(path string, now time.Time) (*BreakGlass, error) {
	data, err := readOwn(path, maxState, 0o077)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: break-glass: %w", ErrFile, err)
	}
	var b BreakGlass
	if err := strictjson.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("%w: break-glass: %s: %w", ErrFile, path, err)
	}
	if err := b.Check(); err != nil {
		return nil, fmt.Errorf("%w: break-glass: %s: %w", ErrFile, path, err)
	}
	if now.Before(b.Since) || !now.Before(b.Until) {
		return nil, nil
	}
	return &b, nil
}

// WriteBreakGlass breaks the glass.
func WriteBreakGlass(path string, b BreakGlass) error {
	if err := b.Check(); err != nil {
		return err
	}
	return writeJSON(path, b)
}

// Check refuses one that says too little or lasts too long.
func (b BreakGlass) Check() error {
	switch {
	case strings.TrimSpace(b.Reason) == "":
		return errors.New("no reason is given")
	case len(b.Reason) > maxReason:
		return fmt.Errorf("the reason has %d bytes, want at most %d", len(b.Reason), maxReason)
	case !b.Since.Before(b.Until):
		return errors.New("it ends before it begins")
	case b.Until.Sub(b.Since) > MaxBreakGlass:
		return fmt.Errorf("it lasts %s, want at most %s", b.Until.Sub(b.Since), MaxBreakGlass)
	}
	return nil
}
