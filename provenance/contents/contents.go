// SPDX-License-Identifier: Apache-2.0

// Package contents is the digest of a folder that went into a build: its paths,
// modes, link targets and file contents, and neither times nor owners, which a
// build context does not keep on its way. docs/build-type.md is its
// specification.
//
// Both sides use it, so that there is one answer: the frontend over what the
// client sent, plomb reproduce over the folder it is given. It chooses no files
// and follows no links.
package contents

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const (
	// Algorithm names the digest in a SLSA digest set.
	Algorithm = "plombContentsV1"

	// MaxEntries bounds a folder. The largest known source trees have a tenth.
	MaxEntries = 2_000_000

	// MaxMarks is how many entries a folder may have for its summary to hold
	// marks: 8 KiB of them, in a document that every node fetches.
	MaxMarks = 2048

	// markSize is the length of a mark in hex digits. Sixteen bits tell a
	// changed file from an unchanged one, and are too few to guess what is in
	// it.
	markSize = 4

	header = "plomb-contents/v1\n"
)

// ErrEntry reports an entry that has no place in a folder: a path that leads
// out of it or is there twice, or a kind of file that is none.
var ErrEntry = errors.New("impossible folder entry")

// An Entry is a file, folder or link. Path is relative and slash-separated;
// the folder itself is no entry.
type Entry struct {
	Path string
	Mode fs.FileMode
	// Target is a symbolic link's text.
	Target string
	// Size and SHA256 are those of a regular file's content.
	Size   int64
	SHA256 [sha256.Size]byte
}

// A Summary is what is published of a folder.
type Summary struct {
	// Digest is lower-case hex, by Algorithm.
	Digest string `json:"digest"`
	// Entries counts files, folders and links; Bytes is the size of all
	// regular files.
	Entries int   `json:"entries"`
	Bytes   int64 `json:"bytes"`
	// Marks are the first 16 bits of each record's SHA-256, in hex, in the
	// order of the records. They say which entries differ without naming them.
	// Empty for more than MaxMarks entries.
	Marks string `json:"marks,omitempty"`
}

// Sum sorts the entries and digests them.
func Sum(entries []Entry) (*Summary, error) {
	if len(entries) > MaxEntries {
		return nil, fmt.Errorf("%w: %d entries, more than the %d allowed", ErrEntry, len(entries), MaxEntries)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	s := &Summary{Entries: len(entries)}
	all := sha256.New()
	all.Write([]byte(header))
	var marks strings.Builder
	for i, e := range entries {
		if i > 0 && entries[i-1].Path == e.Path {
			return nil, fmt.Errorf("%w: %q is there twice", ErrEntry, e.Path)
		}
		record, err := e.record()
		if err != nil {
			return nil, err
		}
		all.Write(record)
		if e.Mode.IsRegular() {
			s.Bytes += e.Size
		}
		if len(entries) <= MaxMarks {
			marks.WriteString(mark(record))
		}
	}
	s.Digest, s.Marks = hex.EncodeToString(all.Sum(nil)), marks.String()
	return s, nil
}

// record is the entry as it is digested: kind, mode, SHA-256, path and target.
func (e Entry) record() ([]byte, error) {
	if !fs.ValidPath(slashed(e.Path)) || e.Path == "." || path.IsAbs(e.Path) || strings.ContainsRune(e.Path+e.Target, 0) {
		return nil, fmt.Errorf("%w: path %q", ErrEntry, e.Path)
	}
	kind, sum, target := kindOf(e.Mode), "-", ""
	switch kind {
	case "":
		return nil, fmt.Errorf("%w: %q has mode %v", ErrEntry, e.Path, e.Mode)
	case "f":
		sum = hex.EncodeToString(e.SHA256[:])
	case "l":
		target = e.Target
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %04o %s %s\x00%s\x00", kind, unixMode(e.Mode), sum, e.Path, target)
	return b.Bytes(), nil
}

// slashed makes ValidPath, which wants UTF-8, look at the shape of a path only.
func slashed(p string) string { return strings.ToValidUTF8(p, "?") }

func kindOf(m fs.FileMode) string {
	switch m.Type() {
	case 0:
		return "f"
	case fs.ModeDir:
		return "d"
	case fs.ModeSymlink:
		return "l"
	case fs.ModeNamedPipe:
		return "p"
	case fs.ModeDevice:
		return "b"
	case fs.ModeDevice | fs.ModeCharDevice:
		return "c"
	}
	return ""
}

// unixMode is the permission with setuid, setgid and sticky as stat(2) has
// them. That of a link means nothing and differs between systems.
func unixMode(m fs.FileMode) uint32 {
	if m.Type() == fs.ModeSymlink {
		return 0o777
	}
	mode := uint32(m.Perm())
	for bit, unix := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			mode |= unix
		}
	}
	return mode
}

func mark(record []byte) string {
	sum := sha256.Sum256(record)
	return hex.EncodeToString(sum[:])[:markSize]
}
