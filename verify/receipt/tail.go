// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/durable"
)

// A place is where the log ends: the size of its last file and the hash of the
// last line. The zero place is that of a log without files.
type place struct {
	file int
	size int64
	hash digest.Digest
}

// before tells whether a log that ends at p is shorter than one that ends at q.
func (p place) before(q place) bool {
	return p.file < q.file || p.file == q.file && p.size < q.size
}

// find leaves l.out open at the last file of the log and l.at at its end, with
// what a crash left behind set aside. The lock is held.
func (l *Log) find() error {
	if l.unmoved() {
		return nil
	}
	if l.out != nil {
		_ = l.out.Close()
		l.out = nil
	}
	known := l.at
	at, err := l.locate()
	if err != nil {
		return err
	}
	if known.hash != "" && !known.before(at) {
		// The log has got shorter, or another one, since this process wrote to
		// it. To go on from what it remembers keeps the cut in sight.
		if at != known {
			l.warn(fmt.Errorf("the log in %s lost receipts: it ended in %s at byte %d with %s, and ends now in %s at byte %d",
				l.dir, fileName(known.file), known.size, known.hash, fileName(at.file), at.size))
		}
		at.hash = known.hash
	}
	l.at = at
	return nil
}

// unmoved tells that nobody wrote since, which is the usual case.
func (l *Log) unmoved() bool {
	if l.out == nil || l.torn {
		return false
	}
	open, err := l.out.Stat()
	if err != nil || open.Size() != l.at.size {
		return false
	}
	named, err := os.Lstat(filepath.Join(l.dir, fileName(l.at.file)))
	if err != nil || !os.SameFile(open, named) {
		return false
	}
	_, err = os.Lstat(filepath.Join(l.dir, fileName(l.at.file+1)))
	return errors.Is(err, fs.ErrNotExist)
}

// locate looks the end up in the folder.
func (l *Log) locate() (place, error) {
	list, err := numbers(l.dir)
	if err != nil || len(list) == 0 {
		return place{}, err
	}
	last := list[len(list)-1]
	f, err := openOwn(filepath.Join(l.dir, fileName(last)), os.O_RDWR)
	if err != nil {
		return place{}, err
	}
	at := place{file: last}
	if at.size, at.hash, err = l.mend(f, last); err != nil {
		return place{}, errors.Join(err, f.Close())
	}
	// A file that was begun and got no line yet: the chain ends further up.
	for i := len(list) - 2; i >= 0 && at.hash == ""; i-- {
		if at.hash, err = lastHash(filepath.Join(l.dir, fileName(list[i]))); err != nil {
			return place{}, errors.Join(err, f.Close())
		}
	}
	l.out, l.torn = f, false
	return at, nil
}

// mend takes what follows the last whole line of a file into a file of its own
// and returns the size that is left, and the hash of that line.
func (l *Log) mend(f *os.File, number int) (int64, digest.Digest, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, "", err
	}
	end, last, err := lastLine(f, info.Size())
	if err != nil {
		return 0, "", fmt.Errorf("%s: %w", f.Name(), err)
	}
	if end == info.Size() {
		return end, last, nil
	}
	if err := l.setAside(f, number, end, info.Size()); err != nil {
		return 0, "", fmt.Errorf("%s: set aside what a crash left at byte %d: %w", f.Name(), end, err)
	}
	return end, last, nil
}

// setAside copies the end of a file to torn-NUMBER-OFFSET, and cuts it off.
func (l *Log) setAside(f *os.File, number int, from, to int64) error {
	torn := make([]byte, min(to-from, maxTorn))
	if _, err := f.ReadAt(torn, from); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	name := fmt.Sprintf("%s%06d-%d", tornPrefix, number, from)
	path := filepath.Join(l.dir, name)
	for i := 1; ; i++ {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			break
		}
		path = filepath.Join(l.dir, fmt.Sprintf("%s.%d", name, i))
	}
	if err := durable.WriteFile(path, torn, 0o600); err != nil {
		return err
	}
	if err := f.Truncate(from); err != nil {
		return err
	}
	return f.Sync()
}

// maxTorn bounds what is kept of a torn end, in bytes: more than one Append
// of the agent writes.
const maxTorn = 64 << 20

// lastLine finds where the last whole line of the first size bytes ends, and
// its hash; the end is 0 if there is none. The last line is whole if it ends
// with a line feed and is a receipt: a power failure may leave the length of
// what was written, and zeros. Only one line can be what a crash left of it; the
// one before is taken as it is, and a Checker tells what is the matter with it.
func lastLine(f io.ReaderAt, size int64) (int64, digest.Digest, error) {
	end, start, err := span(f, size)
	if err != nil || end == 0 {
		return 0, "", err
	}
	if whole, err := isReceipt(f, start, end); err != nil {
		return 0, "", err
	} else if !whole {
		if end, start, err = span(f, start); err != nil || end == 0 {
			return 0, "", err
		}
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, start, end-1-start)); err != nil {
		return 0, "", err
	}
	return end, digest.NewDigest(digest.SHA256, sum), nil
}

// span is where the last line of the first size bytes ends, behind its line
// feed, and starts; the end is 0 if there is no whole line.
func span(f io.ReaderAt, size int64) (end, start int64, err error) {
	if end, err = lastFeed(f, size); err != nil || end == 0 {
		return 0, 0, err
	}
	start, err = lastFeed(f, end-1)
	return end, start, err
}

func isReceipt(f io.ReaderAt, start, end int64) (bool, error) {
	if end-1-start > MaxLine {
		return false, nil
	}
	line := make([]byte, end-1-start)
	if _, err := f.ReadAt(line, start); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	_, err := parse(line)
	return err == nil, nil
}

// lastFeed is the offset behind the last line feed in the first size bytes.
func lastFeed(f io.ReaderAt, size int64) (int64, error) {
	chunk := make([]byte, 64<<10)
	for size > 0 {
		n := min(size, int64(len(chunk)))
		if _, err := f.ReadAt(chunk[:n], size-n); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if i := bytes.LastIndexByte(chunk[:n], '\n'); i >= 0 {
			return size - n + int64(i) + 1, nil
		}
		size -= n
	}
	return 0, nil
}

// lastHash is the hash of the last line of a file that is not written anymore.
func lastHash(path string) (digest.Digest, error) {
	f, err := openOwn(path, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	_, last, err := lastLine(f, info.Size())
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return last, nil
}
