// SPDX-License-Identifier: Apache-2.0

package rust_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem/treetest"
	"github.com/plombproject/plomb/frontend/catalog/rust"
	"github.com/plombproject/plomb/provenance/sbom"
)

const audit = `{"packages":[
  {"name":"adler","version":"0.2.3","source":"crates.io"},
  {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"},
  {"name":"hello","version":"0.1.0","source":"local","dependencies":[0,1],"root":true}
]}`

func deflate(t testing.TB, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

// program is an ELF file with one section.
func program(section string, content []byte) []byte {
	names := "\x00" + section + "\x00"
	out := make([]byte, 64)
	copy(out, "\x7fELF\x02\x01")
	out = append(out, names...)
	out = append(out, content...)
	binary.LittleEndian.PutUint64(out[40:], uint64(len(out)))
	binary.LittleEndian.PutUint16(out[58:], 64)
	binary.LittleEndian.PutUint16(out[60:], 2)
	for _, s := range [][3]int{{0, 64, len(names)}, {1, 64 + len(names), len(content)}} {
		h := make([]byte, 64)
		binary.LittleEndian.PutUint32(h, uint32(s[0]))
		binary.LittleEndian.PutUint64(h[24:], uint64(s[1]))
		binary.LittleEndian.PutUint64(h[32:], uint64(s[2]))
		out = append(out, h...)
	}
	return append(out, make([]byte, 4096)...)
}

func TestReadsTheAuditSection(t *testing.T) {
	want := []sbom.Package{
		{Type: "cargo", Name: "adler", Version: "0.2.3", PURL: "pkg:cargo/adler@0.2.3"},
		{Type: "cargo", Name: "hello", Version: "0.1.0", PURL: "pkg:cargo/hello@0.1.0", Requires: [][]string{{"adler"}}, Top: true},
	}
	for _, section := range []string{".dep-v0", ".rust-deps-v0"} {
		tree := treetest.Tree{"/usr/bin/hello": program(section, deflate(t, audit))}
		packages, err := tree.Read(t, rust.Readers(), "/usr/bin/hello")
		require.NoError(t, err)
		require.Equal(t, want, packages)
	}
}

func TestOtherProgramsHaveNoCrates(t *testing.T) {
	for _, data := range [][]byte{program(".text", []byte("x")), bytes.Repeat([]byte("text"), 2000)} {
		packages, err := treetest.Tree{"/usr/bin/x": data}.Read(t, rust.Readers(), "/usr/bin/x")
		require.NoError(t, err)
		require.Empty(t, packages)
	}
}

func TestRefusesWhatIsNoAuditSection(t *testing.T) {
	for want, content := range map[string][]byte{
		"decompress":        []byte("no zlib"),
		"parse":             deflate(t, "{"),
		"too large":         deflate(t, strings.Repeat(" ", 9<<20)),
		"20001 crates":      deflate(t, `{"packages":[`+strings.Repeat("{},", 20000)+"{}]}"),
		"depends on number": deflate(t, `{"packages":[{"name":"a","dependencies":[1]}]}`),
		"on number -1":      deflate(t, `{"packages":[{"name":"a","dependencies":[-1]}]}`),
		"too many depend":   deflate(t, `{"packages":[{"name":"a","dependencies":[`+strings.Repeat("0,", 400_000)+`0]}]}`),
	} {
		_, err := rust.Section(content)
		require.ErrorContains(t, err, want)
	}
	tree := treetest.Tree{"/usr/bin/x": program(".dep-v0", make([]byte, 9<<20))}
	_, err := tree.Read(t, rust.Readers(), "/usr/bin/x")
	require.ErrorContains(t, err, "section .dep-v0 has")
}

func FuzzSection(f *testing.F) {
	f.Add(deflate(f, audit), false)
	f.Add([]byte(audit), true)
	f.Fuzz(func(t *testing.T, data []byte, compress bool) {
		if compress {
			data = deflate(t, string(data))
		}
		packages, err := rust.Section(data)
		if err != nil {
			require.Empty(t, packages)
		}
		for _, p := range packages {
			require.NotEmpty(t, p.Name)
		}
	})
}
