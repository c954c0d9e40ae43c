// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance/sbom"
)

// hashes are the files with their digests. Only the goroutine that walks adds
// to it; a digest is written by the worker that made it.
type hashes struct {
	files []*hashed
	first map[inode]*hashed // of files with several names
	over  int
}

type hashed struct {
	sbom.File
	same *hashed // another name of the file, which has the digests
}

type inode struct{ dev, ino uint64 }

// buffers are what a file is read through: large, so that reading is not what
// hashing waits for.
var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

func (s *scan) hash(p string, info fs.FileInfo) {
	switch {
	case len(s.hashes.files) >= s.files:
		s.hashes.over++
		s.goneIf(s.layer, p)
		return
	case info.Size() > s.hashed:
		s.unread(p, fmt.Errorf("%w: %d bytes, of which %d would be hashed", limit.ErrTooLarge, info.Size(), s.hashed))
		s.goneIf(s.layer, p)
		return
	}
	f := &hashed{File: sbom.File{Path: p, Size: info.Size()}}
	s.hashes.files = append(s.hashes.files, f)
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
		id := inode{st.Dev, st.Ino}
		if f.same = s.hashes.first[id]; f.same != nil {
			return
		}
		if s.hashes.first == nil {
			s.hashes.first = map[inode]*hashed{}
		}
		s.hashes.first[id] = f
	}
	s.work <- func() {
		if err := s.digest(f); err != nil {
			s.unread(p, fmt.Errorf("hash: %w", err))
		}
	}
}

// digest reads the file once for both digests.
func (s *scan) digest(f *hashed) error {
	rel, err := inside(f.Path)
	if err != nil {
		return err
	}
	file, err := s.tree.root.OpenFile(rel, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return errSpecial
	}
	one, two := sha1.New(), sha256.New()
	if f.Size, err = s.feed(file, one, two); err != nil {
		return err
	}
	f.SHA1, f.SHA256 = hex.EncodeToString(one.Sum(nil)), hex.EncodeToString(two.Sum(nil))
	return nil
}

func (s *scan) feed(from io.Reader, one, two hash.Hash) (int64, error) {
	buffer := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buffer)
	var size int64
	for {
		if err := s.ctx.Err(); err != nil {
			return size, err
		}
		n, err := from.Read(buffer[:])
		one.Write(buffer[:n])
		two.Write(buffer[:n])
		size += int64(n)
		switch {
		case err == io.EOF:
			return size, nil
		case err != nil:
			return size, err
		case size > s.hashed:
			return size, limit.ErrTooLarge
		}
	}
}

// listed returns the files that could be read, in the order of the walk; nil
// unless files are to be listed.
func (s *scan) listed() []sbom.File {
	if s.level != Files {
		return nil
	}
	if s.hashes.over > 0 {
		s.unread("/", fmt.Errorf("%d files are not listed: there are more than %d", s.hashes.over, s.files))
	}
	out := make([]sbom.File, 0, len(s.hashes.files))
	for _, f := range s.hashes.files {
		if f.same != nil {
			f.Size, f.SHA1, f.SHA256 = f.same.Size, f.same.SHA1, f.same.SHA256
		}
		if f.SHA256 != "" {
			out = append(out, f.File)
			continue
		}
		s.goneIf(s.layer, f.Path) // or it would keep the digests it had below
	}
	return out
}
