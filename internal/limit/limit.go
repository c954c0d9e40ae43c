// SPDX-License-Identifier: Apache-2.0

// Package limit reads no more bytes than it was told to: whoever is at the
// other end of a pipe, a socket or a file decides what they send, never how
// much memory it costs.
package limit

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrTooLarge reports more bytes than the reader was willing to hold.
var ErrTooLarge = errors.New("too large")

// ReadAll reads r to its end, or fails with ErrTooLarge as soon as it has seen
// more than max bytes.
func ReadAll(r io.Reader, max int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > max {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, max)
	}
	return data, nil
}

// ReadFile reads the regular file at path, or fails with ErrTooLarge. A device
// or a pipe, which could block or never end, is refused.
func ReadFile(path string, max int64) ([]byte, error) {
	// Stat before open: opening a pipe waits for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := ReadAll(f, max)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}
