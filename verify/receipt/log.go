// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// ErrLog reports a log that cannot be written, such as on a full disk. The
// message names the file, the reason and the remedy. Nothing of what was
// acknowledged before is lost, and the next Append tries again.
var ErrLog = errors.New("receipts cannot be written")

const (
	// DefaultMaxBytes is used where Options say nothing.
	DefaultMaxBytes = 64 << 20

	// patience is how long the lock is waited for. A writer holds it for as
	// long as the disk takes; one that is stopped must not stop the node.
	patience = 5 * time.Second

	// maxWaiting bounds how many calls of Append wait for a disk that hangs,
	// with those who gave up: what they ask for is kept in memory until then.
	maxWaiting = 1024
)

// Options say how a log is kept.
type Options struct {
	// MaxBytes is the size at which a file is closed and the next one begun.
	// 0 is DefaultMaxBytes.
	MaxBytes int64
	// Key is a PEM file with the private key that signs checkpoints; empty: none.
	Key string
	// Now is the clock for checkpoints; nil is the machine's.
	Now func() time.Time
	// Warn is told what is wrong and loses no receipt: a checkpoint that could
	// not be written, a log that got shorter. Nil logs it.
	Warn func(error)
}

// A Log is a folder of receipts that several processes append to.
type Log struct {
	dir  string
	opts Options
	key  crypto.Signer

	mu      sync.Mutex
	waiting []*batch // not written yet
	running bool     // somebody is writing
	closed  bool

	// What follows belongs to who is writing.
	lock lock
	out  *os.File // the last file
	at   place    // where the log ended when this process last saw it
	torn bool     // out may end with what could not be taken back
	due  due
	// write and sync are the operating system's, except in tests.
	write func(f *os.File, data []byte, at int64) (int, error)
	sync  func(f *os.File) error
}

// A batch is what one Append adds.
type batch struct {
	receipts []Receipt
	last     digest.Digest
	err      error
	done     chan struct{}
}

// Open prepares the log in dir, which is made with mode 0700 if it is not
// there. A last line that a crash tore is repaired at the next Append.
func Open(dir string, opts Options) (*Log, error) {
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = DefaultMaxBytes
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Warn == nil {
		opts.Warn = func(err error) { slog.Warn("receipts", "fault", err) }
	}
	l := &Log{dir: dir, opts: opts, write: (*os.File).WriteAt, sync: syncData}
	if opts.Key != "" {
		key, err := readKey(opts.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: key for checkpoints: %w", ErrLog, err)
		}
		l.key = key
	}
	if err := ensureFolder(dir); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLog, err)
	}
	return l, nil
}

// Append adds receipts in one go, sets their Schema and Previous, and returns
// the hash of the last when all of them outlive a power failure. With an error
// none is acknowledged; when ctx ended while they were written, they may be in
// the log all the same. Calls side by side share the wait for the disk.
func (l *Log) Append(ctx context.Context, receipts ...*Receipt) (digest.Digest, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrLog, l.dir, err)
	}
	b := &batch{done: make(chan struct{})}
	for _, r := range receipts {
		b.receipts = append(b.receipts, *r)
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return "", fmt.Errorf("%w: %s: %w", ErrLog, l.dir, os.ErrClosed)
	}
	if len(l.waiting) >= maxWaiting {
		l.mu.Unlock()
		return "", fmt.Errorf("%w: %s: %d wait for the disk already", ErrLog, l.dir, maxWaiting)
	}
	l.waiting = append(l.waiting, b)
	if !l.running {
		l.running = true
		go l.run()
	}
	l.mu.Unlock()
	select {
	case <-b.done:
	case <-ctx.Done():
		return "", fmt.Errorf("%w: %s: %w", ErrLog, l.dir, ctx.Err())
	}
	if b.err != nil {
		return "", b.err
	}
	for i, r := range receipts {
		r.Schema, r.Previous = b.receipts[i].Schema, b.receipts[i].Previous
	}
	return b.last, nil
}

// run writes until nobody waits.
func (l *Log) run() {
	for {
		l.mu.Lock()
		batches := l.waiting
		l.waiting = nil
		if len(batches) == 0 {
			l.running = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		l.commit(batches)
		for _, b := range batches {
			close(b.done)
		}
	}
}

// Close signs a last checkpoint, if there is a key, and ends the use of the
// log. What was being appended is still written.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	for { // who writes now ends soon: nothing new is accepted
		l.mu.Lock()
		busy := l.running
		l.mu.Unlock()
		if !busy {
			break
		}
		time.Sleep(time.Millisecond)
	}
	var err error
	if l.due.lines > 0 {
		err = l.lastCheckpoint()
	}
	l.lock.close()
	if l.out != nil {
		err = errors.Join(err, l.out.Close())
		l.out = nil
	}
	return err
}

func (l *Log) warn(err error) { l.opts.Warn(err) }
