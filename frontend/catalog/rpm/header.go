// SPDX-License-Identifier: Apache-2.0

package rpm

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A header is what the database has of one package (rpm's docs/manual/format_header.md):
// two numbers, an index of that many entries, and that many bytes of data.
type header struct {
	index []byte // entries of 16 bytes: tag, type, offset into data, count
	data  []byte
}

// Tags that are read (rpm's include/rpm/rpmtag.h).
const (
	tagName         = 1000
	tagVersion      = 1001
	tagRelease      = 1002
	tagEpoch        = 1003
	tagSummary      = 1004
	tagVendor       = 1011
	tagLicense      = 1014
	tagPackager     = 1015
	tagURL          = 1020
	tagArch         = 1022
	tagOldFileNames = 1027
	tagSourceRPM    = 1044
	tagProvideName  = 1047
	tagRequireName  = 1049
	tagDirIndexes   = 1116
	tagBaseNames    = 1117
	tagDirNames     = 1118
)

// Types of entries.
const (
	typeInt32  = 4
	typeString = 6
	typeArray  = 8
	typeI18N   = 9 // an array: one string for each language, the first in English
)

const (
	entrySize = 16
	// maxIndex is the most entries of a header, as in rpm (hdrchkTags).
	maxIndex = 0xffff
	// maxStrings is the most strings in one entry: there are packages with
	// 200,000 files.
	maxStrings = 1 << 20
)

func parseHeader(blob []byte) (header, error) {
	if len(blob) < 8 {
		return header{}, fmt.Errorf("%w: a header of %d bytes", errFormat, len(blob))
	}
	entries, size := binary.BigEndian.Uint32(blob), binary.BigEndian.Uint32(blob[4:])
	blob = blob[8:]
	if entries > maxIndex || int64(len(blob)) < int64(entries)*entrySize+int64(size) {
		return header{}, fmt.Errorf("%w: a header that ends early", errFormat)
	}
	split := int(entries) * entrySize
	return header{index: blob[:split], data: blob[split : split+int(size)]}, nil
}

// find returns the data from where the tag's begin, and how many items there
// are; nil if the tag is not there or of another type.
func (h header) find(tag uint32, types ...uint32) ([]byte, int) {
	for entry := h.index; len(entry) >= entrySize; entry = entry[entrySize:] {
		if binary.BigEndian.Uint32(entry) != tag {
			continue
		}
		kind, offset, count := binary.BigEndian.Uint32(entry[4:]), binary.BigEndian.Uint32(entry[8:]), binary.BigEndian.Uint32(entry[12:])
		for _, t := range types {
			if kind == t && int64(offset) < int64(len(h.data)) && count <= maxStrings {
				return h.data[offset:], int(count)
			}
		}
		return nil, 0
	}
	return nil, 0
}

// text returns a string, "" for none; of several the first.
func (h header) text(tag uint32) string {
	data, count := h.find(tag, typeString, typeI18N)
	if count == 0 {
		return ""
	}
	if end := bytes.IndexByte(data, 0); end >= 0 && string(data[:end]) != "(none)" {
		return string(data[:end])
	}
	return ""
}

// list returns the strings of an array.
func (h header) list(tag uint32) []string {
	data, count := h.find(tag, typeArray)
	var out []string
	for range count {
		end := bytes.IndexByte(data, 0)
		if end < 0 {
			return out
		}
		out = append(out, string(data[:end]))
		data = data[end+1:]
	}
	return out
}

func (h header) ints(tag uint32) []uint32 {
	data, count := h.find(tag, typeInt32)
	var out []uint32
	for range min(count, len(data)/4) {
		out = append(out, binary.BigEndian.Uint32(data))
		data = data[4:]
	}
	return out
}

// files calls visit for each file of the package. Names are stored as folders,
// last parts, and which folder each of those is in.
func (h header) files(visit func(p string)) {
	dirs, at := h.list(tagDirNames), h.ints(tagDirIndexes)
	for i, base := range h.list(tagBaseNames) {
		if i < len(at) && int64(at[i]) < int64(len(dirs)) {
			visit(dirs[at[i]] + base)
		}
	}
	for _, p := range h.list(tagOldFileNames) {
		visit(p)
	}
}
