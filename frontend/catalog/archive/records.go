// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// The records at the end of a zip file (PKWARE APPNOTE.TXT, 4.3.14 to 4.3.16).
const (
	endSize       = 22 // end of central directory record, without the comment
	locatorSize   = 20 // zip64 end of central directory locator
	end64Size     = 56 // zip64 end of central directory record
	endSignature  = "PK\x05\x06"
	locator64     = "PK\x06\x07"
	end64         = "PK\x06\x06"
	furthestBytes = 65 << 10
)

// records is the number of entries that archive/zip makes room for: it looks
// for the same records in the same places.
func records(r io.ReaderAt, size int64) (uint64, error) {
	for _, window := range []int64{1 << 10, furthestBytes} {
		tail := make([]byte, min(window, size))
		if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		at := bytes.LastIndex(tail[:max(0, len(tail)-endSize+len(endSignature))], []byte(endSignature))
		if at < 0 {
			continue
		}
		end := tail[at:]
		count := binary.LittleEndian.Uint16(end[10:])
		if wide := records64(r, size-int64(len(tail))+int64(at)); wide > uint64(count) {
			return wide, nil
		}
		return uint64(count), nil
	}
	return 0, zip.ErrFormat
}

// records64 is the number in the zip64 record, 0 if there is none.
func records64(r io.ReaderAt, end int64) uint64 {
	locator := make([]byte, locatorSize)
	if _, err := r.ReadAt(locator, end-locatorSize); end < locatorSize || err != nil || string(locator[:4]) != locator64 {
		return 0
	}
	record := make([]byte, end64Size)
	offset := int64(binary.LittleEndian.Uint64(locator[8:]))
	if offset < 0 {
		return 0
	}
	if _, err := r.ReadAt(record, offset); err != nil || string(record[:4]) != end64 {
		return 0
	}
	return binary.LittleEndian.Uint64(record[32:])
}
