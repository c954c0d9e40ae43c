// SPDX-License-Identifier: Apache-2.0

package dpkg

import (
	"bytes"
	"fmt"
	"iter"
	"strings"
)

// maxField is the longest field in bytes. The longest there is lists the
// configuration files of a large package, in some 10 KB.
const maxField = 1 << 20

// A stanza is one paragraph of deb822(5): fields by lower-case name. Lines that
// continue a field are in it with their line breaks, but without the first
// space.
type stanza struct {
	fields map[string]string
	// err is what breaks the format, nil for a good one.
	err error
}

func (s stanza) get(name string) string { return strings.TrimSpace(s.fields[strings.ToLower(name)]) }

// first returns the first line of a field.
func (s stanza) first(name string) string {
	line, _, _ := strings.Cut(s.fields[strings.ToLower(name)], "\n")
	return strings.TrimSpace(line)
}

// stanzas yields the paragraphs, counted from 1.
func stanzas(data []byte) iter.Seq2[int, stanza] {
	return func(yield func(int, stanza) bool) {
		n := 0
		b := builder{}
		for line := range bytes.Lines(data) {
			line = bytes.TrimRight(line, "\r\n")
			if len(bytes.TrimSpace(line)) > 0 {
				b.line(line)
				continue
			}
			if b.begun {
				n++
				if !yield(n, b.done()) {
					return
				}
				b = builder{}
			}
		}
		if b.begun {
			yield(n+1, b.done())
		}
	}
}

// A builder puts one stanza together, line by line.
type builder struct {
	begun  bool
	name   string
	value  []byte
	stanza stanza
}

func (b *builder) line(line []byte) {
	b.begun = true
	switch {
	case b.stanza.err != nil:
	case bytes.IndexByte(line, 0) >= 0:
		b.fail("a NUL byte")
	case len(b.value)+len(line) > maxField:
		b.fail("a field of more than %d bytes", maxField)
	case line[0] == '#':
	case line[0] == ' ' || line[0] == '\t':
		if b.name == "" {
			b.fail("a line that continues no field")
			return
		}
		b.value = append(append(b.value, '\n'), line[1:]...)
	default:
		b.field(line)
	}
}

func (b *builder) field(line []byte) {
	b.flush()
	name, value, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimSpace(name)
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
		b.fail("a line that is no field")
		return
	}
	b.name = strings.ToLower(string(name))
	b.value = append(b.value, bytes.TrimSpace(value)...)
	if _, twice := b.stanza.fields[b.name]; twice {
		b.fail("a field that is there twice")
	}
}

func (b *builder) flush() {
	if b.name == "" {
		return
	}
	if b.stanza.fields == nil {
		b.stanza.fields = map[string]string{}
	}
	b.stanza.fields[b.name] = string(b.value)
	b.name, b.value = "", b.value[:0]
}

func (b *builder) done() stanza {
	if b.stanza.err == nil {
		b.flush()
	}
	return b.stanza
}

func (b *builder) fail(format string, args ...any) {
	b.stanza.err = fmt.Errorf("%w: %s", errBroken, fmt.Sprintf(format, args...))
}
