// SPDX-License-Identifier: Apache-2.0

package rpm

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
)

// ndb is described by rpm's lib/backend/ndb/rpmpkg.c: a header of 32 bytes,
// pages of slots, and blobs, each with a header of 16 bytes at a multiple of 16.
const (
	ndbHeader   = 'R' | 'p'<<8 | 'm'<<16 | 'P'<<24
	ndbSlot     = 'S' | 'l'<<8 | 'o'<<16 | 't'<<24
	ndbBlob     = 'B' | 'l'<<8 | 'b'<<16 | 'S'<<24
	ndbPage     = 4096
	ndbUnit     = 16
	maxNDBPages = 4096 // a million packages
)

func readNDB(_ context.Context, db database) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		slots, err := ndbSlots(db)
		if err != nil {
			yield(nil, err)
			return
		}
		left := db.size // several slots may not lead to one blob
		for slot := slots; len(slot) >= ndbUnit; slot = slot[ndbUnit:] {
			if binary.LittleEndian.Uint32(slot) != ndbSlot {
				yield(nil, fmt.Errorf("%w: a slot without its mark", errFormat))
				return
			}
			number, at := binary.LittleEndian.Uint32(slot[4:]), int64(binary.LittleEndian.Uint32(slot[8:]))*ndbUnit
			if number == 0 {
				continue // free
			}
			blob, err := ndbBlobAt(db, number, at)
			if left -= int64(len(blob)); left < 0 {
				err = fmt.Errorf("%w: packages that overlap", errFormat)
			}
			if !yield(blob, err) || err != nil {
				return
			}
		}
	}
}

// ndbSlots returns the slots. The header takes the place of the first two.
func ndbSlots(db database) ([]byte, error) {
	head := make([]byte, 2*ndbUnit)
	if _, err := db.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", errFormat, err)
	}
	pages := binary.LittleEndian.Uint32(head[12:])
	switch {
	case binary.LittleEndian.Uint32(head) != ndbHeader || binary.LittleEndian.Uint32(head[4:]) != 0:
		return nil, fmt.Errorf("%w: not an ndb database of version 0", errFormat)
	case pages == 0 || pages > maxNDBPages || int64(pages)*ndbPage > db.size:
		return nil, fmt.Errorf("%w: %d pages of slots", errFormat, pages)
	}
	slots := make([]byte, int(pages)*ndbPage-len(head))
	if _, err := db.ReadAt(slots, int64(len(head))); err != nil {
		return nil, fmt.Errorf("%w: %w", errFormat, err)
	}
	return slots, nil
}

func ndbBlobAt(db database, number uint32, at int64) ([]byte, error) {
	head := make([]byte, ndbUnit)
	if _, err := db.ReadAt(head, at); err != nil {
		return nil, fmt.Errorf("%w: %w", errFormat, err)
	}
	size := int64(binary.LittleEndian.Uint32(head[12:]))
	if binary.LittleEndian.Uint32(head) != ndbBlob || binary.LittleEndian.Uint32(head[4:]) != number || size > maxBlob || at+size > db.size {
		return nil, fmt.Errorf("%w: package %d is not where it should be", errFormat, number)
	}
	blob := make([]byte, size)
	if _, err := db.ReadAt(blob, at+ndbUnit); err != nil {
		return nil, fmt.Errorf("%w: %w", errFormat, err)
	}
	return blob, nil
}
