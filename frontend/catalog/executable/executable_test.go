// SPDX-License-Identifier: Apache-2.0

package executable_test

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem/treetest"
	"github.com/plombproject/plomb/frontend/catalog/executable"
)

// program is an ELF file with the section .dep-v0 and a table of names.
func program(class, order byte, content string) []byte {
	var o binary.ByteOrder = binary.LittleEndian
	if order == 2 {
		o = binary.BigEndian
	}
	names := "\x00.shstrtab\x00.dep-v0\x00"
	out := make([]byte, 64)
	copy(out, "\x7fELF")
	out[4], out[5] = class, order
	namesAt := len(out)
	out = append(out, names...)
	contentAt := len(out)
	out = append(out, content...)
	table := len(out)
	add := func(name, at, size int) {
		h := make([]byte, 64)
		o.PutUint32(h, uint32(name))
		if class == 1 {
			o.PutUint32(h[16:], uint32(at))
			o.PutUint32(h[20:], uint32(size))
			h = h[:40]
		} else {
			o.PutUint64(h[24:], uint64(at))
			o.PutUint64(h[32:], uint64(size))
		}
		out = append(out, h...)
	}
	add(0, 0, 0)
	add(1, namesAt, len(names))
	add(11, contentAt, len(content))
	if class == 1 {
		o.PutUint32(out[32:], uint32(table))
		o.PutUint16(out[46:], 40)
		o.PutUint16(out[48:], 3)
		o.PutUint16(out[50:], 1)
	} else {
		o.PutUint64(out[40:], uint64(table))
		o.PutUint16(out[58:], 64)
		o.PutUint16(out[60:], 3)
		o.PutUint16(out[62:], 1)
	}
	return out
}

func TestSections(t *testing.T) {
	for name, data := range map[string][]byte{
		"64 bit":             program(2, 1, "content"),
		"32 bit":             program(1, 1, "content"),
		"big endian":         program(2, 2, "content"),
		"32 bit, big endian": program(1, 2, "content"),
	} {
		t.Run(name, func(t *testing.T) {
			f, err := executable.Read(bytes.NewReader(data), int64(len(data)))
			require.NoError(t, err)
			require.Equal(t, executable.ELF, f.Format)
			require.True(t, f.HasSections())
			require.True(t, f.Has(executable.RustDeps))
			require.False(t, f.Has(executable.GoBuildInfo))
			content, found, err := f.Section(executable.RustDeps, 100)
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, "content", string(content))

			_, _, err = f.Section(executable.RustDeps, 3)
			require.ErrorContains(t, err, "has 7 bytes, of which 3")
			_, found, err = f.Section(executable.GoBuildInfo, 3)
			require.NoError(t, err)
			require.False(t, found)
		})
	}
}

func TestMalformedProgramsHaveNoSections(t *testing.T) {
	for name, change := range map[string]func([]byte){
		"no table":        func(b []byte) { clear(b[40:48]) },
		"table outside":   func(b []byte) { b[46] = 1 },
		"table below 0":   func(b []byte) { b[47] = 0xff },
		"size of headers": func(b []byte) { b[58] = 1 },
		"names outside":   func(b []byte) { b[62] = 3 },
		"many sections":   func(b []byte) { clear(b[60:62]); binary.LittleEndian.PutUint64(b[len(b)-3*64+32:], 1<<40) },
		"class":           func(b []byte) { b[4] = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			data := program(2, 1, "content")
			change(data)
			f, err := executable.Read(bytes.NewReader(data), int64(len(data)))
			require.NoError(t, err)
			require.Equal(t, executable.ELF, f.Format)
			require.False(t, f.HasSections())
		})
	}
}

func TestOtherFormats(t *testing.T) {
	for magic, want := range map[string]executable.Format{
		"MZ": executable.PE, "\xcf\xfa\xed\xfe": executable.MachO, "\xfe\xed\xfa\xce": executable.MachO,
	} {
		f, err := executable.Read(strings.NewReader(magic+strings.Repeat("x", 100)), 104)
		require.NoError(t, err)
		require.Equal(t, want, f.Format)
		require.False(t, f.HasSections())
	}
	for _, text := range []string{"", "#!", "\x7fELF", strings.Repeat("#!/bin/sh", 100), "\xca\xfe\xba\xbe" + strings.Repeat("x", 100)} {
		f, err := executable.Read(strings.NewReader(text), int64(len(text)))
		require.NoError(t, err)
		require.Nil(t, f)
	}
}

func TestOpen(t *testing.T) {
	tree := treetest.Tree{"/bin/a": program(2, 1, strings.Repeat("content", 1000)), "/bin/b": []byte("text")}
	info, err := tree.Stat("/bin/a")
	require.NoError(t, err)
	f, err := executable.Open(tree, "/bin/a", info)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	f, err = executable.Open(tree, "/bin/b", info)
	require.NoError(t, err)
	require.Nil(t, f)
	_, err = executable.Open(tree, "/bin/c", info)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestWants(t *testing.T) {
	info := func(size int, mode fs.FileMode) fs.FileInfo {
		files := fstest.MapFS{"f": {Data: make([]byte, size), Mode: mode}}
		info, err := files.Stat("f")
		require.NoError(t, err)
		return info
	}
	for _, test := range []struct {
		path string
		size int
		mode fs.FileMode
		want bool
	}{
		{"/usr/bin/ls", 9000, 0o755, true},
		{"/usr/bin/tiny", 90, 0o755, false},
		{"/usr/share/data", 9000, 0o644, false},
		{"/usr/lib/libc.so.6", 9000, 0o644, true},
		{"/usr/lib/plugin.so", 9000, 0o644, true},
		{"/app/addon.node", 9000, 0o644, true},
		{"/app/x.js", 9000, 0o777, false},
		{"/app/program-1.2", 9000, 0o711, true},
	} {
		require.Equal(t, test.want, executable.Wants(test.path, info(test.size, test.mode)), test.path)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(program(2, 1, "content"))
	f.Add(program(1, 2, "content"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := executable.Read(bytes.NewReader(data), int64(len(data)))
		require.NoError(t, err, "memory has no errors of its own")
		if file == nil {
			return
		}
		content, found, err := file.Section(executable.RustDeps, 1<<20)
		if found && err == nil {
			require.LessOrEqual(t, len(content), len(data))
		}
	})
}

// BenchmarkRead is what a program costs that is in neither language.
func BenchmarkRead(b *testing.B) {
	data := program(2, 1, strings.Repeat("content", 10000))
	for b.Loop() {
		f, err := executable.Read(bytes.NewReader(data), int64(len(data)))
		require.NoError(b, err)
		require.True(b, f.HasSections())
	}
}
