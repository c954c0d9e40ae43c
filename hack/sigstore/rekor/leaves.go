// SPDX-License-Identifier: Apache-2.0

package rekor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/transparency-dev/merkle/rfc6962"
)

// ErrInUse is returned when another process appends to the same log: two trees
// with one key would be a split view.
var ErrInUse = errors.New("transparency log is in use by another process")

// DuplicateError is returned for an entry that the log already has.
type DuplicateError struct{ Index uint64 }

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("an equivalent entry already exists in the transparency log with index %d", e.Index)
}

// leaves are the entries of a log: a file with a line for each, the Merkle tree
// over them, and where each one is.
type leaves struct {
	tree  tree
	index map[[32]byte]uint64
	file  *os.File
	// end is where the next line goes in file; a write that failed half way
	// is overwritten by the next one.
	end int64
}

// openLeaves reads the lines in path, which need not exist, and builds the
// tree of what leaf makes of each. A last line without its newline was never
// answered for, so it is cut off.
func openLeaves(path string, leaf func(line []byte) ([]byte, error)) (*leaves, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &leaves{index: map[[32]byte]uint64{}, file: file}
	if err := l.load(leaf); err != nil {
		return nil, errors.Join(fmt.Errorf("transparency log %s: %w", path, err), file.Close())
	}
	return l, nil
}

func (l *leaves) load(leaf func(line []byte) ([]byte, error)) error {
	if err := syscall.Flock(int(l.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%w; stop it or use another folder: %w", ErrInUse, err)
	}
	data, err := io.ReadAll(l.file)
	if err != nil {
		return err
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	for line := range bytes.Lines(whole) {
		body, err := leaf(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			return err
		}
		l.add(body)
	}
	l.end = int64(len(whole))
	return l.file.Truncate(l.end)
}

// append adds an entry. It goes on file before it goes in the tree: a
// checkpoint must never speak of an entry that a restart would forget. A
// machine that loses power may still lose the last entries; a test log does
// not pay for a sync.
func (l *leaves) append(line, leaf []byte) error {
	if index, ok := l.index[leafHash(leaf)]; ok {
		return &DuplicateError{Index: index}
	}
	n, err := l.file.WriteAt(append(bytes.Clone(line), '\n'), l.end)
	if err != nil {
		return fmt.Errorf("append to the transparency log: %w", err)
	}
	l.end += int64(n)
	l.add(leaf)
	return nil
}

func (l *leaves) add(leaf []byte) {
	hash := leafHash(leaf)
	l.index[hash] = l.tree.size()
	l.tree.append(hash[:])
}

func (l *leaves) close() error { return l.file.Close() }

func leafHash(body []byte) [32]byte { return [32]byte(rfc6962.DefaultHasher.HashLeaf(body)) }
