// SPDX-License-Identifier: Apache-2.0

// Package executable finds sections by name in programs and shared libraries,
// cheaply enough to ask it about every one of an image. It is for ELF files,
// which nearly all of them are; of Windows' and macOS' formats it knows only
// the magic numbers.
//
// The standard library's debug/elf is not used for it: that "is not designed
// to be hardened against adversarial inputs", and reads more than is needed.
package executable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
)

const (
	// MaxSize is the largest file in bytes that is looked into. A program of
	// several gigabytes carries its data with it.
	MaxSize = 8 << 30
	// minSize is less than what a linker for a system with an operating system
	// makes of nothing.
	minSize = 4 << 10
	// maxSections is ten times what compilers make of a large program with a
	// section for each function.
	maxSections = 1 << 16
	// maxNames is the size of the largest table of section names in bytes.
	maxNames = 4 << 20
)

var errMalformed = errors.New("malformed program")

// Format is what kind of program it is.
type Format int

// The formats.
const (
	ELF Format = iota + 1
	PE
	MachO
)

// A File is an open program.
type File struct {
	io.ReaderAt
	Format Format
	size   int64
	file   fs.File
	// sections by name; nil if the file has no table of them.
	sections map[string]section
}

type section struct{ offset, size int64 }

// notPrograms are scripts and data, by the end of their name: often executable
// by mistake, and never asked about.
var notPrograms = set(".py .pyc .pyi .js .mjs .cjs .ts .map .json .sh .bash .pl .pm .pod .rb .txt .md .rst .html .htm .css .scss " +
	".h .hpp .c .cc .cpp .go .rs .java .class .jar .xml .yaml .yml .toml .ini .conf .cfg .svg .png .gif .jpg .jpeg .ico .ttf .woff .woff2 " +
	".gz .xz .bz2 .zst .zip .php .lua .tcl .el .service .mo .po .a .o .la .pc .crt .pem .key .log .sql .csv .tsv .whl .rpm .deb")

// libraries are programs that are not executed and so need no mode bit for it.
var libraries = set(".so .exe .dll .dylib .node .bin")

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, word := range strings.Fields(words) {
		out[word] = true
	}
	return out
}

// Wants tells by name, mode and size whether a file may be a program.
func Wants(name string, info fs.FileInfo) bool {
	if info.Size() < minSize {
		return false
	}
	ext := path.Ext(name)
	if libraries[ext] || strings.Contains(path.Base(name), ".so.") {
		return true
	}
	return info.Mode()&0o111 != 0 && !notPrograms[ext]
}

// Open opens a program, or returns nil if the file is none.
func Open(t ecosystem.Tree, name string, info fs.FileInfo) (*File, error) {
	opened, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	at, ok := opened.(io.ReaderAt)
	if !ok {
		opened.Close()
		return nil, fmt.Errorf("%T cannot be read at an offset", opened)
	}
	f, err := Read(at, info.Size())
	if err != nil || f == nil {
		opened.Close()
		return nil, err
	}
	f.file = opened
	return f, nil
}

// Close closes the file that Open opened.
func (f *File) Close() error { return f.file.Close() }

// Read looks at a program of size bytes, or returns nil if r is none.
func Read(r io.ReaderAt, size int64) (*File, error) {
	head := make([]byte, 64)
	if _, err := r.ReadAt(head, 0); errors.Is(err, io.EOF) {
		return nil, nil // too short
	} else if err != nil {
		return nil, err
	}
	f := &File{ReaderAt: r, size: size}
	switch magic := binary.BigEndian.Uint32(head); {
	case magic == 0x7F454C46:
		f.Format = ELF
		// A program runs without its table of sections. One that is not to be
		// made sense of is as good as none.
		if err := f.readELF(head); err != nil && !errors.Is(err, errMalformed) {
			return nil, err
		}
	case magic>>16 == 0x4D5A:
		f.Format = PE
	case magic == 0xFEEDFACE || magic == 0xFEEDFACF || magic == 0xCEFAEDFE || magic == 0xCFFAEDFE:
		f.Format = MachO
	default:
		return nil, nil
	}
	return f, nil
}

// HasSections is false for formats other than ELF, and for programs without a
// readable table of sections.
func (f *File) HasSections() bool { return f.sections != nil }

// Has tells whether there is a section of that name, one of those below.
func (f *File) Has(name string) bool {
	_, found := f.sections[name]
	return found
}

// Section returns the content of the section as it is in the file, if there is
// one of that name and its size in bytes is no more than max.
func (f *File) Section(name string, max int64) (content []byte, found bool, err error) {
	s, found := f.sections[name]
	if !found {
		return nil, false, nil
	}
	if s.size > max {
		return nil, true, fmt.Errorf("section %s has %d bytes, of which %d would be read", name, s.size, max)
	}
	content, err = f.at(s.offset, s.size)
	return content, true, err
}

// at reads what must be there.
func (f *File) at(offset, size int64) ([]byte, error) {
	if offset < 0 || size < 0 || offset > f.size-size {
		return nil, fmt.Errorf("%w: %d bytes at %d in a file of %d", errMalformed, size, offset, f.size)
	}
	data := make([]byte, size)
	if _, err := f.ReadAt(data, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w: shorter than it was", errMalformed)
	}
	return data, nil
}
