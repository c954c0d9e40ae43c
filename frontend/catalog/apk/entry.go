// SPDX-License-Identifier: Apache-2.0

package apk

import (
	"bytes"
	"fmt"
	"iter"
	"path"
	"strings"
)

// maxLine is the longest line in bytes. The longest there are list what a
// package provides.
const maxLine = 1 << 20

// kept are the fields that describe a package. The others say how it is
// installed, and those of files may be there many times.
const kept = "PVALomUTDpC"

// An entry is one paragraph of the database: fields by their letter.
type entry struct {
	fields map[byte]string
	folder string // the one that the lines that follow are about
	err    error
}

// entries yields the paragraphs, counted from 1. If file is not nil, it is
// called for each file, after the lines about the package.
func entries(data []byte, file func(e *entry, p string)) iter.Seq2[int, entry] {
	return func(yield func(int, entry) bool) {
		n, e, begun := 1, entry{}, false
		for line := range bytes.Lines(data) {
			line = bytes.TrimRight(line, "\r\n")
			if len(line) > 0 {
				begun = true
				e.line(line, file)
				continue
			}
			if begun && !yield(n, e) {
				return
			}
			if begun {
				n, e, begun = n+1, entry{}, false
			}
		}
		if begun {
			yield(n, e)
		}
	}
}

func (e *entry) line(line []byte, file func(e *entry, p string)) {
	switch {
	case e.err != nil:
		return
	case len(line) > maxLine:
		e.err = fmt.Errorf("%w: a line of more than %d bytes", errBroken, maxLine)
		return
	case len(line) < 2 || line[1] != ':' || bytes.IndexByte(line, 0) >= 0:
		e.err = fmt.Errorf("%w: a line that is no field", errBroken)
		return
	}
	switch letter, value := line[0], line[2:]; {
	case letter == 'F':
		e.folder = string(value)
	case letter == 'R' && file != nil:
		file(e, path.Join("/", e.folder, string(value)))
	case strings.IndexByte(kept, letter) >= 0:
		if e.fields == nil {
			e.fields = map[byte]string{}
		}
		if _, twice := e.fields[letter]; twice {
			e.err = fmt.Errorf("%w: a field that is there twice", errBroken)
		}
		e.fields[letter] = string(value)
	}
}
