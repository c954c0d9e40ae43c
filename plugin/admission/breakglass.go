// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
)

// MaxBreakGlass is the longest that the glass can be broken for.
const MaxBreakGlass = 12 * time.Hour

// A BreakGlass admits every image, for a reason and for some hours.
type BreakGlass struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
}

// String is the reason and the end.
func (b BreakGlass) String() string {
	return b.Reason + ", until " + b.Until.UTC().Format(time.RFC3339)
}

// ReadBreakGlass returns the break-glass that is open at a time, or nil. One
// that others than its owner can write, that is not the user's who runs this,
// has no reason or lasts longer than MaxBreakGlass is an error and opens nothing.
func ReadBreakGlass(path string, now time.Time) (*BreakGlass, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: break-glass: %w", ErrFile, err)
	}
	if err := ownedAlone(info); err != nil {
		return nil, fmt.Errorf("%w: break-glass: %s: %w", ErrFile, path, err)
	}
	data, err := limit.ReadFile(path, maxState)
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
	case !b.Since.Before(b.Until):
		return errors.New("it ends before it begins")
	case b.Until.Sub(b.Since) > MaxBreakGlass:
		return fmt.Errorf("it lasts %s, want at most %s", b.Until.Sub(b.Since), MaxBreakGlass)
	}
	return nil
}

// ownedAlone demands a regular file that is this user's and that nobody else
// can write or read.
func ownedAlone(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("it is no regular file but %s", info.Mode().Type())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("its mode is %#o: chmod 600 it", info.Mode().Perm())
	case !ok || int(stat.Uid) != os.Geteuid():
		return errors.New("it is not owned by the user that decides: chown it to root")
	}
	return nil
}
