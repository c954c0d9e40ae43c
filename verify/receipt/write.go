// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/opencontainers/go-digest"
)

// commit adds the batches, waits for the disk once, and gives each its outcome.
func (l *Log) commit(batches []*batch) {
	err := l.locked(func() error { return l.add(batches) })
	if err == nil {
		return
	}
	err = l.fault(err)
	for _, b := range batches {
		if b.err == nil {
			b.err = err
		}
	}
}

// locked runs f at the end of the log, with the lock.
func (l *Log) locked(f func() error) error {
	if err := ensureFolder(l.dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.lock.acquire(ctx, l.dir, syscall.LOCK_EX); err != nil {
		return err
	}
	defer l.lock.release()
	if err := l.find(); err != nil {
		return err
	}
	return f()
}

// fault says what to do about an error.
func (l *Log) fault(err error) error {
	remedy := "mend it, or set the node to audit mode until it is mended"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		remedy = "make room on the disk"
	case errors.Is(err, syscall.EFBIG):
		remedy = "raise the limit of the size of files of this process"
	case errors.Is(err, syscall.EROFS):
		remedy = "mount it for writing"
	}
	return fmt.Errorf("%w: %s: %w; %s", ErrLog, l.dir, err, remedy)
}

// add writes the batches behind the end of the log. Those that cannot be
// encoded get their own error and are left out.
func (l *Log) add(batches []*batch) error {
	if err := l.rotate(); err != nil {
		return err
	}
	var data []byte
	last, lines := l.at.hash, 0
	for _, b := range batches {
		text, n, err := b.encode(last)
		if err != nil {
			b.err = fmt.Errorf("%w: %s: %w", ErrLog, l.dir, err)
			continue
		}
		if n > 0 {
			last = b.last
		}
		data, lines = append(data, text...), lines+n
	}
	if len(data) == 0 {
		return nil
	}
	if err := l.put(data); err != nil {
		return err
	}
	l.at.size += int64(len(data))
	l.at.hash = last
	l.due.lines += lines
	l.checkpoint()
	return nil
}

// encode chains the receipts of a batch behind the line with a hash.
func (b *batch) encode(previous digest.Digest) (text []byte, lines int, err error) {
	b.last = previous
	for i := range b.receipts {
		r := &b.receipts[i]
		r.Schema, r.Previous = Schema, b.last
		line, err := encode(*r)
		if err != nil {
			return nil, 0, err
		}
		b.last = hash(line)
		text = append(append(text, line...), '\n')
	}
	return text, len(b.receipts), nil
}

// rotate begins the next file if the last one is large enough, and the first
// one if there is none. A file outgrows MaxBytes by what one commit adds.
func (l *Log) rotate() error {
	if l.out != nil && l.at.size < l.opts.MaxBytes {
		return nil
	}
	if l.out != nil {
		// Its last line may be one that a writer did not live to sync.
		if err := l.sync(l.out); err != nil {
			return fmt.Errorf("%s: %w", l.out.Name(), err)
		}
		l.due.now = true
		l.checkpoint() // signs the end of the file that is complete
	}
	path := filepath.Join(l.dir, fileName(l.at.file+1))
	f, err := openOwn(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	if err := syncFolder(l.dir); err != nil {
		return errors.Join(err, f.Close())
	}
	if l.out != nil {
		_ = l.out.Close() // nothing is waiting to be written
	}
	l.out, l.at.file, l.at.size = f, l.at.file+1, 0
	return nil
}

// put writes data behind the end, whole and for good, or takes it back.
func (l *Log) put(data []byte) error {
	_, err := l.write(l.out, data, l.at.size)
	if err == nil {
		if err = l.sync(l.out); err == nil {
			return nil
		}
	}
	err = fmt.Errorf("%s at byte %d: %w", l.out.Name(), l.at.size, err)
	// The file must end with a whole line again, and with one that was
	// acknowledged. Where that fails too, the next call repairs it.
	back := l.out.Truncate(l.at.size)
	if back == nil {
		back = l.sync(l.out)
	}
	l.torn = back != nil
	return err
}
