// SPDX-License-Identifier: Apache-2.0

package rpm

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
)

// Berkeley DB's hash files are described by its src/dbinc/db_page.h. RPM keeps
// the headers of packages in them as values that are too large for a page.
const (
	bdbMagic = 0x061561

	bdbHashUnsorted = 2
	bdbOverflow     = 7
	bdbHashMeta     = 8
	bdbHash         = 13

	bdbPageHeader = 26
	bdbOffPage    = 3 // a value elsewhere: type, 3 unused bytes, page, length
)

func readBerkeley(ctx context.Context, db database) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		b, err := openBerkeley(db)
		if err != nil {
			yield(nil, err)
			return
		}
		for number := uint32(1); number <= b.last; number++ {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			values, err := b.values(number)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, v := range values {
				blob, err := b.chain(v)
				if !yield(blob, err) || err != nil {
					return
				}
			}
		}
	}
}

type berkeley struct {
	database
	order binary.ByteOrder
	size  int64  // of a page
	last  uint32 // page
	// left is how many pages may still be read as parts of values: each is part
	// of one. Without it, a chain of pages in a circle would never end.
	left uint32
}

type bdbValue struct{ page, length uint32 }

func openBerkeley(db database) (*berkeley, error) {
	head := make([]byte, 512)
	if _, err := db.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", errFormat, err)
	}
	b := &berkeley{database: db, order: binary.LittleEndian}
	if binary.BigEndian.Uint32(head[12:]) == bdbMagic {
		b.order = binary.BigEndian
	}
	b.size, b.last = int64(b.order.Uint32(head[20:])), b.order.Uint32(head[32:])
	switch {
	case b.order.Uint32(head[12:]) != bdbMagic || head[25] != bdbHashMeta:
		return nil, fmt.Errorf("%w: not a hash file of Berkeley DB", errFormat)
	case head[24] != 0:
		return nil, fmt.Errorf("%w: it is encrypted", errFormat)
	case b.size < 512 || b.size > 64<<10 || b.size&(b.size-1) != 0 || int64(b.last) >= db.size/b.size:
		return nil, fmt.Errorf("%w: %d pages of %d bytes", errFormat, b.last, b.size)
	}
	b.left = b.last
	return b, nil
}

func (b *berkeley) page(number uint32) ([]byte, error) {
	if number > b.last {
		return nil, fmt.Errorf("%w: page %d of %d", errFormat, number, b.last)
	}
	page := make([]byte, b.size)
	if _, err := b.ReadAt(page, int64(number)*b.size); err != nil {
		return nil, fmt.Errorf("%w: %w", errFormat, err)
	}
	return page, nil
}

// values returns the large values of a page. Entries are pairs of a key and a
// value, found by a table of offsets.
func (b *berkeley) values(number uint32) ([]bdbValue, error) {
	page, err := b.page(number)
	if err != nil {
		return nil, err
	}
	if page[25] != bdbHash && page[25] != bdbHashUnsorted {
		return nil, nil
	}
	entries := int(b.order.Uint16(page[20:]))
	if bdbPageHeader+2*entries > len(page) {
		return nil, fmt.Errorf("%w: %d entries in page %d", errFormat, entries, number)
	}
	var out []bdbValue
	for i := 1; i < entries; i += 2 {
		at := int(b.order.Uint16(page[bdbPageHeader+2*i:]))
		if at >= len(page) || page[at] != bdbOffPage {
			continue // a counter of RPM's own
		}
		if at+12 > len(page) {
			return nil, fmt.Errorf("%w: an entry beyond page %d", errFormat, number)
		}
		out = append(out, bdbValue{b.order.Uint32(page[at+4:]), b.order.Uint32(page[at+8:])})
	}
	return out, nil
}

// chain puts a value together from the pages that it is on.
func (b *berkeley) chain(v bdbValue) ([]byte, error) {
	if v.length > maxBlob || int64(v.length) > b.database.size {
		return nil, fmt.Errorf("%w: a package of %d bytes", errFormat, v.length)
	}
	var blob []byte
	for number := v.page; number != 0; {
		if b.left == 0 {
			return nil, fmt.Errorf("%w: pages that follow each other in a circle", errFormat)
		}
		b.left--
		page, err := b.page(number)
		if err != nil {
			return nil, err
		}
		length := int(b.order.Uint16(page[22:]))
		if page[25] != bdbOverflow || bdbPageHeader+length > len(page) {
			return nil, fmt.Errorf("%w: page %d is no part of a package", errFormat, number)
		}
		blob = append(blob, page[bdbPageHeader:bdbPageHeader+length]...)
		number = b.order.Uint32(page[16:])
	}
	if int64(len(blob)) < int64(v.length) {
		return nil, fmt.Errorf("%w: a package that ends early", errFormat)
	}
	return blob[:v.length], nil
}
