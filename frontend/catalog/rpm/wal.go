// SPDX-License-Identifier: Apache-2.0

package rpm

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/plombproject/plomb/internal/limit"
)

// maxWAL is the largest write-ahead log in bytes that is read; it is in memory
// at once. SQLite empties it into the database at 4 MB.
const maxWAL = 256 << 20

const (
	walMagic  = 0x377f0682 // one more if the checksums are big-endian
	walHeader = 32
	walFrame  = 24
)

// readWAL returns the pages that were committed to a write-ahead log and are
// not yet in the database (https://www.sqlite.org/fileformat2.html#walformat).
// A frame counts if it has the salts of the log's header, if the checksum over
// everything up to it is right, and if one that ends a transaction follows.
func readWAL(from io.Reader, pageSize int64) (map[uint32][]byte, error) {
	data, err := limit.ReadAll(from, maxWAL)
	if err != nil {
		return nil, fmt.Errorf("write-ahead log: %w", err)
	}
	if len(data) == 0 {
		return nil, nil
	}
	if len(data) < walHeader || binary.BigEndian.Uint32(data)&^1 != walMagic || int64(binary.BigEndian.Uint32(data[8:])) != pageSize {
		return nil, fmt.Errorf("%w: no write-ahead log of this database", errFormat)
	}
	var order binary.ByteOrder = binary.LittleEndian
	if binary.BigEndian.Uint32(data)&1 == 1 {
		order = binary.BigEndian
	}
	salts := string(data[16:24])
	sum := walSum{order: order}
	sum.add(data[:24])
	if !sum.is(data[24:]) {
		return nil, nil // what is left of a log that was used up
	}
	committed, pending := map[uint32][]byte{}, map[uint32][]byte{}
	for frames := data[walHeader:]; int64(len(frames)) >= walFrame+pageSize; frames = frames[walFrame+pageSize:] {
		head, page := frames[:walFrame], frames[walFrame:walFrame+pageSize]
		sum.add(head[:8])
		sum.add(page)
		if string(head[8:16]) != salts || !sum.is(head[16:]) {
			break
		}
		pending[binary.BigEndian.Uint32(head)] = page
		if binary.BigEndian.Uint32(head[4:]) != 0 { // the end of a transaction
			for number, page := range pending {
				committed[number] = page
			}
			clear(pending)
		}
	}
	return committed, nil
}

// A walSum is the log's running checksum, over pairs of 32-bit numbers.
type walSum struct {
	order  binary.ByteOrder
	s0, s1 uint32
}

func (s *walSum) add(data []byte) {
	for ; len(data) >= 8; data = data[8:] {
		s.s0 += s.order.Uint32(data) + s.s1
		s.s1 += s.order.Uint32(data[4:]) + s.s0
	}
}

func (s *walSum) is(stored []byte) bool {
	return binary.BigEndian.Uint32(stored) == s.s0 && binary.BigEndian.Uint32(stored[4:]) == s.s1
}
