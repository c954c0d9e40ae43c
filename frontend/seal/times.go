// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"encoding/binary"
	"os"
	"path"
	"strings"
	"time"
)

// clamp returns t or T, whichever is earlier, in whole seconds: layers hold no
// fractions, and differs take files whose times have none for unsure and
// compare their content, which is what we want.
func (a *applier) clamp(t time.Time) time.Time {
	if t.After(a.rules.Time) {
		return a.rules.Time
	}
	return t.Truncate(time.Second)
}

// pycHeader is the part of a compiled Python file that plomb reads: magic,
// flags, source time, source size, each four bytes, little endian
// (https://peps.python.org/pep-0552/).
const pycHeader = 16

// pycPatch returns what to write into the head of the .pyc at p, or nil. A
// timestamp-based .pyc names the modification time of its source. If we clamp
// the source and not this time, every import recompiles.
func (a *applier) pycPatch(p string, info os.FileInfo) patchFunc {
	if !info.Mode().IsRegular() || !strings.HasSuffix(p, ".pyc") || info.Size() < pycHeader {
		return nil
	}
	src, err := os.Lstat(a.dirs.Upper + pycSource(p))
	if err != nil {
		return nil // no source: Python never compares the times
	}
	clamped := a.clamp(src.ModTime())
	return func(head []byte) {
		const hashBased = 1
		if string(head[2:4]) != "\r\n" || binary.LittleEndian.Uint32(head[4:])&hashBased != 0 {
			return
		}
		if binary.LittleEndian.Uint32(head[8:]) == uint32(src.ModTime().Unix()) {
			binary.LittleEndian.PutUint32(head[8:], uint32(clamped.Unix()))
		}
	}
}

// pycSource maps dir/__pycache__/mod.cpython-311.pyc and dir/mod.pyc to dir/mod.py.
func pycSource(p string) string {
	dir, base := path.Split(p)
	dir = strings.TrimSuffix(dir, "/")
	base = strings.TrimSuffix(base, ".pyc")
	if path.Base(dir) == "__pycache__" {
		dir = path.Dir(dir)
		base, _, _ = strings.Cut(base, ".")
	}
	return path.Join("/", dir, base+".py")
}
