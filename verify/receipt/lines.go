// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"

	"github.com/opencontainers/go-digest"
)

// A line is one of a file, whatever it says.
type line struct {
	number int
	size   int64 // with the line feed
	end    int64 // the offset behind it
	whole  bool  // it ends with a line feed
	hash   digest.Digest
	text   []byte // nil if it is longer than MaxLine
}

// receipt is what the line says.
func (l line) receipt() (Receipt, error) {
	if l.text == nil {
		return Receipt{}, fmt.Errorf("%w: it is longer than %d bytes", errLine, MaxLine)
	}
	return parse(l.text)
}

// lines reads lines of any length without holding more than MaxLine of them.
type lines struct {
	in     *bufio.Reader
	number int
	end    int64
}

func newLines(in io.Reader) *lines { return &lines{in: bufio.NewReaderSize(in, 64<<10)} }

// next returns io.EOF after the last one.
func (ls *lines) next() (line, error) {
	sum := sha256.New()
	l := line{number: ls.number + 1, text: []byte{}}
	for !l.whole {
		part, err := ls.in.ReadSlice('\n')
		l.size += int64(len(part))
		if n := len(part); n > 0 && part[n-1] == '\n' {
			part, l.whole = part[:n-1], true
		}
		sum.Write(part)
		if l.text != nil && len(l.text)+len(part) <= MaxLine {
			l.text = append(l.text, part...)
		} else {
			l.text = nil
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return l, err
		}
	}
	if l.size == 0 {
		return l, io.EOF
	}
	ls.number++
	ls.end += l.size
	l.end, l.hash = ls.end, digest.NewDigest(digest.SHA256, sum)
	return l, nil
}

// An Entry is a receipt of a log, and where it is.
type Entry struct {
	File string
	Line int
	// Digest is the hash of the line, which the next one names as previous.
	Digest digest.Digest
	// Text is the line as it was written.
	Text    []byte
	Receipt Receipt
}

// Entries reads the receipts of the log in dir in their order, without checking
// that they chain: a Checker does. A line that is no receipt comes as an error, and
// the reading goes on behind it; the end that a crash tore is left out.
func Entries(dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		list, err := numbers(dir)
		if err != nil {
			yield(Entry{}, fmt.Errorf("%w: %w", ErrCheck, err))
			return
		}
		for _, n := range list {
			if !entriesOf(dir, fileName(n), yield) {
				return
			}
		}
	}
}

func entriesOf(dir, name string, yield func(Entry, error) bool) bool {
	f, err := openAny(filepath.Join(dir, name))
	if err != nil {
		return yield(Entry{File: name}, fmt.Errorf("%w: %w", ErrCheck, err))
	}
	defer f.Close()
	for ls := newLines(f); ; {
		l, err := ls.next()
		if errors.Is(err, io.EOF) || err == nil && !l.whole {
			return true
		}
		if err != nil {
			return yield(Entry{File: name}, fmt.Errorf("%w: %s: %w", ErrCheck, name, err))
		}
		e := Entry{File: name, Line: l.number, Digest: l.hash, Text: l.text}
		if e.Receipt, err = l.receipt(); err != nil {
			err = fmt.Errorf("%w: %s:%d: %w", ErrCheck, name, l.number, err)
		}
		if !yield(e, err) {
			return false
		}
	}
}
