// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/archive"
)

type entry struct {
	name   string
	data   []byte
	method uint16
}

func pack(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		f, err := w.CreateHeader(&zip.FileHeader{Name: e.name, Method: e.method})
		require.NoError(t, err)
		_, err = f.Write(e.data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func open(b *archive.Budget, data []byte) (*zip.Reader, error) {
	return b.Open(bytes.NewReader(data), int64(len(data)))
}

func TestReadsEntries(t *testing.T) {
	data := pack(t, entry{"stored", []byte("one"), zip.Store}, entry{"deflated", []byte("two"), zip.Deflate})
	b := archive.NewBudget()
	z, err := open(b, append([]byte("#!/bin/sh\nexec java -jar $0\n"), data...))
	require.NoError(t, err)
	require.Len(t, z.File, 2)
	for i, want := range []string{"one", "two"} {
		got, err := b.ReadAll(z.File[i], 3)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}

	z, err = open(b, data)
	require.NoError(t, err)
	stored, err := b.Stored(bytes.NewReader(data), z.File[0])
	require.NoError(t, err)
	got, err := io.ReadAll(stored)
	require.NoError(t, err)
	require.Equal(t, "one", string(got))
	stored, err = b.Stored(bytes.NewReader(data), z.File[1])
	require.NoError(t, err)
	require.Nil(t, stored)
}

func TestBounds(t *testing.T) {
	var many []entry
	for i := range 100 {
		many = append(many, entry{name: fmt.Sprintf("entry-%d", i)})
	}
	hundred := pack(t, many...)
	_, err := open(&archive.Budget{Entries: 99, Directory: 1 << 20, Bytes: 1 << 20}, hundred)
	require.ErrorIs(t, err, archive.ErrBound)
	require.ErrorContains(t, err, "100 entries, of which 99")

	// A directory that has more entries than it says.
	lying := bytes.Clone(hundred)
	binary.LittleEndian.PutUint16(lying[len(lying)-12:], 100-64)
	_, err = open(&archive.Budget{Entries: 99, Directory: 1 << 20, Bytes: 1 << 20}, lying)
	require.Error(t, err)

	_, err = open(&archive.Budget{Entries: 1000, Directory: 1 << 12, Bytes: 1 << 20}, hundred)
	require.ErrorIs(t, err, archive.ErrBound)
	require.ErrorContains(t, err, "directory")

	b := &archive.Budget{Entries: 1000, Directory: 1 << 20, Bytes: 20}
	data := pack(t, entry{"stored", []byte("0123456789"), zip.Store})
	z, err := open(b, data)
	require.NoError(t, err)
	_, err = b.ReadAll(z.File[0], 9)
	require.ErrorContains(t, err, "an entry of 10 bytes, of which 9")
	_, err = b.ReadAll(z.File[0], 10)
	require.NoError(t, err)
	_, err = b.Stored(bytes.NewReader(data), z.File[0])
	require.NoError(t, err)
	_, err = b.Stored(bytes.NewReader(data), z.File[0])
	require.ErrorContains(t, err, "more bytes in its entries together")

	b = archive.NewBudget()
	z, err = open(b, pack(t, entry{"bomb", make([]byte, 4<<20), zip.Deflate}))
	require.NoError(t, err)
	_, err = b.ReadAll(z.File[0], 1<<30)
	require.ErrorContains(t, err, "200 times")
}

func TestAnEntryThatIsLargerThanItSays(t *testing.T) {
	data := pack(t, entry{"swollen", bytes.Repeat([]byte("0123456789"), 100), zip.Deflate})
	// The size in the directory is what counts.
	directory := bytes.LastIndex(data, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(data[directory+24:], 5)
	b := archive.NewBudget()
	z, err := open(b, data)
	require.NoError(t, err)
	_, err = b.ReadAll(z.File[0], 1000)
	require.Error(t, err)
}

func TestRoomIsNotMadeForWhatIsNotThere(t *testing.T) {
	// A zip64 record that speaks of 2^60 entries.
	data := pack(t, entry{"one", nil, zip.Store})
	end := bytes.LastIndex(data, []byte("PK\x05\x06"))
	wide := append([]byte("PK\x06\x06"), make([]byte, 52)...)
	binary.LittleEndian.PutUint64(wide[32:], 1<<60)
	locator := append([]byte("PK\x06\x07"), make([]byte, 16)...)
	binary.LittleEndian.PutUint64(locator[8:], uint64(end))
	binary.LittleEndian.PutUint32(locator[16:], 1)
	hostile := append(append(append(bytes.Clone(data[:end]), wide...), locator...), data[end:]...)
	binary.LittleEndian.PutUint16(hostile[len(hostile)-12:], 0xffff)
	_, err := open(archive.NewBudget(), hostile)
	require.ErrorIs(t, err, archive.ErrBound)
}

func FuzzOpen(f *testing.F) {
	f.Add(pack(f, entry{"a", []byte("one"), zip.Store}, entry{"../b", bytes.Repeat([]byte("two"), 100), zip.Deflate}))
	f.Add([]byte("PK\x05\x06" + "012345678901234567"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := &archive.Budget{Entries: 100, Directory: 1 << 16, Bytes: 1 << 16}
		z, err := open(b, data)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(z.File), 100)
		total := 0
		for _, file := range z.File {
			content, err := b.ReadAll(file, 1<<10)
			if err == nil {
				total += len(content)
			}
		}
		require.LessOrEqual(t, total, 1<<16)
	})
}
