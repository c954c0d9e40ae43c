// SPDX-License-Identifier: Apache-2.0

package executable

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A layout is where the fields are in the headers of a 32-bit or 64-bit ELF
// file (System V ABI, chapter 4).
type layout struct {
	shoff, shentsize, shnum, shstrndx     int // in the ELF header
	offset, size, link, headerSize, width int // in a section header
}

var layouts = map[byte]layout{
	1: {shoff: 32, shentsize: 46, shnum: 48, shstrndx: 50, offset: 16, size: 20, link: 24, headerSize: 40, width: 4},
	2: {shoff: 40, shentsize: 58, shnum: 60, shstrndx: 62, offset: 24, size: 32, link: 40, headerSize: 64, width: 8},
}

// A dialect is a layout in one byte order.
type dialect struct {
	layout
	order binary.ByteOrder
}

// dialectOf reads the identification bytes of a header. It fails for the class
// or the byte order of no machine that there is.
func dialectOf(head []byte) (dialect, bool) {
	l, known := layouts[head[4]]
	switch {
	case known && head[5] == 1:
		return dialect{l, binary.LittleEndian}, true
	case known && head[5] == 2:
		return dialect{l, binary.BigEndian}, true
	}
	return dialect{}, false
}

// word is a number of the class's width.
func (d dialect) word(b []byte) int64 {
	if d.width == 4 {
		return int64(d.order.Uint32(b))
	}
	return int64(d.order.Uint64(b))
}

// where is the place of a section, by its header.
func (d dialect) where(header []byte) section {
	return section{d.word(header[d.offset:]), d.word(header[d.size:])}
}

// readELF reads the table of sections.
func (f *File) readELF(head []byte) error {
	d, known := dialectOf(head)
	table := d.tableOffset(head)
	if !known || table == 0 {
		return nil
	}
	count, names, err := f.counts(d, head, table)
	if err != nil {
		return err
	}
	if count < 0 || count > maxSections || names >= count {
		return fmt.Errorf("%w: %d sections, the names in number %d", errMalformed, count, names)
	}
	headers, err := f.at(table, count*int64(d.headerSize))
	if err != nil {
		return err
	}
	texts := d.where(headers[names*int64(d.headerSize):])
	if texts.size > maxNames {
		return fmt.Errorf("%w: %d bytes of section names", errMalformed, texts.size)
	}
	stringTable, err := f.at(texts.offset, texts.size)
	if err != nil {
		return err
	}
	f.sections = map[string]section{}
	for i := range count {
		header := headers[i*int64(d.headerSize):]
		if name := text(stringTable, d.order.Uint32(header)); interesting[name] {
			f.sections[name] = d.where(header)
		}
	}
	return nil
}

// tableOffset is 0 if there is no table, or one of another kind.
func (d dialect) tableOffset(head []byte) int64 {
	if d.order == nil || int(d.order.Uint16(head[d.shentsize:])) != d.headerSize {
		return 0
	}
	return d.word(head[d.shoff:])
}

// counts are the number of sections and the one with the names.
//
// "If the number of sections is greater than or equal to SHN_LORESERVE, [...]
// the actual number of section header table entries is contained in the sh_size
// field of the section header at index 0", and the index of the names in its
// sh_link.
func (f *File) counts(d dialect, head []byte, table int64) (count, names int64, err error) {
	count, names = int64(d.order.Uint16(head[d.shnum:])), int64(d.order.Uint16(head[d.shstrndx:]))
	if count != 0 && names != 0xffff {
		return count, names, nil
	}
	first, err := f.at(table, int64(d.headerSize))
	if err != nil {
		return 0, 0, err
	}
	if count == 0 {
		count = d.word(first[d.size:])
	}
	if names == 0xffff {
		names = int64(d.order.Uint32(first[d.link:]))
	}
	return count, names, nil
}

// text is the string at an offset of a string table, without the zero at its end.
func text(table []byte, offset uint32) string {
	if int64(offset) >= int64(len(table)) {
		return ""
	}
	table = table[offset:min(int64(len(table)), int64(offset)+maxName)]
	end := bytes.IndexByte(table, 0)
	if end < 0 {
		return ""
	}
	return string(table[:end])
}

// maxName is longer than any name below, so that names are not read to their
// end for nothing.
const maxName = 32

// The sections that tell of packages.
const (
	GoBuildInfo  = ".go.buildinfo"
	RustDeps     = ".dep-v0"
	RustDepsZero = ".rust-deps-v0" // of rust-audit 0.1
)

var interesting = map[string]bool{GoBuildInfo: true, RustDeps: true, RustDepsZero: true}
