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

// readELF reads the table of sections.
func (f *File) readELF(head []byte) error {
	l, known := layouts[head[4]]
	if !known || head[5] != 1 && head[5] != 2 {
		return nil // a class or byte order of no machine that there is
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[5] == 2 {
		order = binary.BigEndian
	}
	word := func(b []byte) int64 {
		if l.width == 4 {
			return int64(order.Uint32(b))
		}
		return int64(order.Uint64(b))
	}
	table := word(head[l.shoff:])
	count, names := int64(order.Uint16(head[l.shnum:])), int64(order.Uint16(head[l.shstrndx:]))
	if table == 0 || int(order.Uint16(head[l.shentsize:])) != l.headerSize {
		return nil
	}
	if count == 0 || names == 0xffff {
		// "If the number of sections is greater than or equal to SHN_LORESERVE,
		// the actual number is in the sh_size field of the section header at
		// index 0", and the index of the names in its sh_link.
		first, err := f.at(table, int64(l.headerSize))
		if err != nil {
			return err
		}
		if count == 0 {
			count = word(first[l.size:])
		}
		if names == 0xffff {
			names = int64(order.Uint32(first[l.link:]))
		}
	}
	if count < 0 || count > maxSections {
		return fmt.Errorf("%w: %d sections", errMalformed, count)
	}
	if names >= count {
		return nil
	}
	headers, err := f.at(table, count*int64(l.headerSize))
	if err != nil {
		return err
	}
	header := func(i int64) []byte { return headers[i*int64(l.headerSize):] }
	where := func(h []byte) section { return section{word(h[l.offset:]), word(h[l.size:])} }
	s := where(header(names))
	if s.size > maxNames {
		return fmt.Errorf("%w: %d bytes of section names", errMalformed, s.size)
	}
	texts, err := f.at(s.offset, s.size)
	if err != nil {
		return err
	}
	f.sections = map[string]section{}
	for i := range count {
		h := header(i)
		if name := text(texts, order.Uint32(h)); interesting[name] {
			f.sections[name] = where(h)
		}
	}
	return nil
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
