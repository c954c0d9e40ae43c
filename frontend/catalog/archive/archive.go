// SPDX-License-Identifier: Apache-2.0

// Package archive opens zip files that may be hostile: with directories of
// millions of entries, with entries that swell a thousandfold, with archives
// in archives. All that is read of one file of the image, however deep, counts
// against one Budget. Nothing is ever written to the names in an archive.
package archive

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"

	"github.com/plombproject/plomb/internal/limit"
)

// ErrBound is an archive that is beyond a bound; the message says which.
var ErrBound = errors.New("archive is beyond a bound")

const (
	// maxRatio is how many times larger than its compressed form an entry may
	// be if it is larger than freeSize. Text is 3 to 10 times, and class files
	// that are nearly empty are no more than 50.
	maxRatio = 200
	freeSize = 1 << 20
)

// A Budget is what may still be read of one file of the image.
type Budget struct {
	Entries   int   // in all directories together
	Directory int64 // bytes of all directories together
	Bytes     int64 // decompressed
}

// NewBudget is for one file: 200,000 entries in directories of 32 MiB, and
// 2 GiB decompressed. The largest applications known have a quarter of that.
func NewBudget() *Budget {
	return &Budget{Entries: 200_000, Directory: 32 << 20, Bytes: 2 << 30}
}

// Open reads the directory of a zip file of size bytes.
func (b *Budget) Open(r io.ReaderAt, size int64) (*zip.Reader, error) {
	// The directory says how many entries it has, and archive/zip makes room
	// for as many; then it reads as many as there are.
	if n, err := records(r, size); err != nil {
		return nil, err
	} else if n > uint64(b.Entries) {
		return nil, fmt.Errorf("%w: %d entries, of which %d would be read", ErrBound, n, b.Entries)
	}
	directory := &metered{r: r, left: b.Directory, metering: true}
	z, err := zip.NewReader(directory, size)
	if directory.left < 0 {
		return nil, fmt.Errorf("%w: a directory of more than %d bytes", ErrBound, b.Directory)
	}
	if err != nil {
		return nil, err
	}
	b.Directory, directory.metering = directory.left, false
	if b.Entries -= len(z.File); b.Entries < 0 {
		return nil, fmt.Errorf("%w: too many entries", ErrBound)
	}
	return z, nil
}

// metered bounds what is read while the directory is.
type metered struct {
	r        io.ReaderAt
	left     int64
	metering bool
}

func (m *metered) ReadAt(p []byte, off int64) (int, error) {
	if m.metering {
		if m.left -= int64(len(p)); m.left < 0 {
			return 0, ErrBound
		}
	}
	return m.r.ReadAt(p, off)
}

// ReadAll decompresses an entry of at most max bytes.
func (b *Budget) ReadAll(f *zip.File, max int64) ([]byte, error) {
	if f.UncompressedSize64 > uint64(max) {
		return nil, fmt.Errorf("%w: an entry of %d bytes, of which %d would be read", ErrBound, f.UncompressedSize64, max)
	}
	if f.UncompressedSize64 > freeSize && f.UncompressedSize64/maxRatio > f.CompressedSize64 {
		return nil, fmt.Errorf("%w: an entry that is more than %d times as large as its compressed form", ErrBound, maxRatio)
	}
	if err := b.spend(f.UncompressedSize64); err != nil {
		return nil, err
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return limit.ReadAll(r, int64(f.UncompressedSize64))
}

// Stored returns the content of an entry that is stored as it is, without
// reading it; nil if it is compressed. r is what the archive was opened from.
func (b *Budget) Stored(r io.ReaderAt, f *zip.File) (*io.SectionReader, error) {
	if f.Method != zip.Store || f.UncompressedSize64 != f.CompressedSize64 {
		return nil, nil
	}
	// Entries may overlap, so that these are more bytes than the file has.
	if err := b.spend(f.UncompressedSize64); err != nil {
		return nil, err
	}
	offset, err := f.DataOffset()
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(r, offset, int64(f.UncompressedSize64)), nil
}

func (b *Budget) spend(n uint64) error {
	if b.Bytes < 0 || n > uint64(b.Bytes) {
		return fmt.Errorf("%w: more bytes in its entries together than would be read", ErrBound)
	}
	b.Bytes -= int64(n)
	return nil
}
