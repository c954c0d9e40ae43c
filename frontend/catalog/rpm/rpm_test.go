// SPDX-License-Identifier: Apache-2.0

package rpm

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem/treetest"
	"github.com/plombproject/plomb/provenance/sbom"
)

// fedora is a tree of Fedora 40, with files that can be read at any offset.
type fedora struct{ treetest.Tree }

func (fedora) System() *sbom.System { return &sbom.System{ID: "fedora", VersionID: "40"} }

func (f fedora) Open(p string) (fs.File, error) {
	data, ok := f.Tree[p]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return file{bytes.NewReader(data)}, nil
}

type file struct{ *bytes.Reader }

func (f file) Close() error               { return nil }
func (f file) Stat() (fs.FileInfo, error) { return info{f.Reader.Size()}, nil }

type info struct{ size int64 }

func (i info) Name() string       { return "" }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return 0 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }

// blob writes a header: strings, lists of strings, lists of numbers.
func blob(tags map[uint32]any) []byte {
	var index, data []byte
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		kind, count := uint32(typeString), 1
		start := len(data)
		switch v := tags[tag].(type) {
		case string:
			data = append(append(data, v...), 0)
		case []string:
			kind, count = typeArray, len(v)
			for _, s := range v {
				data = append(append(data, s...), 0)
			}
		case []uint32:
			kind, count = typeInt32, len(v)
			for _, n := range v {
				data = binary.BigEndian.AppendUint32(data, n)
			}
		}
		for _, n := range []uint32{tag, kind, uint32(start), uint32(count)} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(len(tags)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	return append(append(out, index...), data...)
}

var bash = map[uint32]any{
	tagName: "bash", tagVersion: "5.2", tagRelease: "1.fc40", tagEpoch: []uint32{1}, tagArch: "x86_64",
	tagSummary: "a shell", tagLicense: "GPL-3.0-or-later", tagVendor: "Fedora Project", tagPackager: "Jane Doe <jane@example.org>",
	tagURL: "https://example.org/", tagSourceRPM: "bash-src-5.2-1.fc40.src.rpm",
	tagProvideName: []string{"bash", "bash(x86-64)"},
	tagRequireName: []string{"glibc", "rpmlib(CompressedFileNames)", "glibc", "(a if b)", "/usr/bin/env", ""},
	tagBaseNames:   []string{"bash", "bashrc"}, tagDirIndexes: []uint32{1, 0}, tagDirNames: []string{"/etc/", "/usr/bin/"},
}

var coreutils = map[uint32]any{
	tagName: "coreutils", tagVersion: "9", tagArch: "x86_64", tagSourceRPM: "(none)", tagLicense: "(none)",
	tagOldFileNames: []string{"/usr/bin/env", "/usr/bin/ls"},
}

var key = map[uint32]any{tagName: "gpg-pubkey", tagVersion: "a15b79cc"}

// writeNDB is an ndb database with these headers.
func writeNDB(blobs ...[]byte) []byte {
	out := make([]byte, ndbPage)
	put := func(at int, numbers ...uint32) {
		for i, n := range numbers {
			binary.LittleEndian.PutUint32(out[at+4*i:], n)
		}
	}
	put(0, ndbHeader, 0, 1, 1)
	for slot := 2; slot < ndbPage/ndbUnit; slot++ {
		put(slot*ndbUnit, ndbSlot, 0, 0, 0)
	}
	for i, b := range blobs {
		at := len(out)
		out = append(out, make([]byte, ndbUnit+(len(b)+ndbUnit-1)/ndbUnit*ndbUnit)...)
		put((i+2)*ndbUnit, ndbSlot, uint32(i+1), uint32(at/ndbUnit), 1)
		put(at, ndbBlob, uint32(i+1), 0, uint32(len(b)))
		copy(out[at+ndbUnit:], b)
	}
	return out
}

// writeBerkeley is a hash file with these headers on chains of pages.
func writeBerkeley(order binary.ByteOrder, blobs ...[]byte) []byte {
	const size = 512
	out := make([]byte, 2*size)
	hash := out[size:]
	at := size
	var chains []byte
	for i, b := range blobs {
		at -= 12
		hash[at] = bdbOffPage
		order.PutUint32(hash[at+4:], uint32(2+len(chains)/size))
		order.PutUint32(hash[at+8:], uint32(len(b)))
		order.PutUint16(hash[bdbPageHeader+4*i+2:], uint16(at))
		for len(b) > 0 {
			page := make([]byte, size)
			n := copy(page[bdbPageHeader:], b)
			b = b[n:]
			page[25] = bdbOverflow
			order.PutUint16(page[22:], uint16(n))
			if len(b) > 0 {
				order.PutUint32(page[16:], uint32(2+len(chains)/size+1))
			}
			chains = append(chains, page...)
		}
	}
	hash[25] = bdbHash
	order.PutUint16(hash[20:], uint16(2*len(blobs)))
	order.PutUint32(out[12:], bdbMagic)
	order.PutUint32(out[20:], size)
	out[25] = bdbHashMeta
	out = append(out, chains...)
	order.PutUint32(out[32:], uint32(len(out)/size-1))
	return out
}

func readFile(t *testing.T, p string, data []byte, wal ...byte) ([]sbom.Package, error) {
	t.Helper()
	tree := fedora{treetest.Tree{p: data}}
	if wal != nil {
		tree.Tree[p+walSuffix] = wal
	}
	r := Readers()[0]
	require.True(t, r.Wants(p, nil))
	return r.Read(t.Context(), tree, p, nil)
}

func TestFormats(t *testing.T) {
	for p, data := range map[string][]byte{
		"/usr/lib/sysimage/rpm/Packages.db": writeNDB(blob(bash), blob(key), blob(coreutils)),
		"/var/lib/rpm/Packages":             writeBerkeley(binary.LittleEndian, blob(bash), blob(key), blob(coreutils)),
		"/usr/share/rpm/Packages":           writeBerkeley(binary.BigEndian, blob(bash), blob(key), blob(coreutils)),
	} {
		packages, err := readFile(t, p, data)
		require.NoError(t, err, p)
		require.Equal(t, []sbom.Package{
			{
				Type: "rpm", Name: "bash", Version: "1:5.2-1.fc40", Arch: "x86_64",
				PURL:     "pkg:rpm/fedora/bash@5.2-1.fc40?arch=x86_64&distro=fedora-40&epoch=1&upstream=bash-src-5.2-1.fc40.src.rpm",
				Supplier: "Organization: Fedora Project", Originator: "Person: Jane Doe (jane@example.org)",
				License: "GPL-3.0-or-later", Homepage: "https://example.org/", Summary: "a shell",
				Source:   &sbom.Source{Name: "bash-src", Version: "5.2-1.fc40"},
				Provides: []string{"bash", "bash(x86-64)"}, Requires: [][]string{{"glibc"}, {"/usr/bin/env"}},
			},
			{
				Type: "rpm", Name: "coreutils", Version: "9", Arch: "x86_64",
				PURL: "pkg:rpm/fedora/coreutils@9?arch=x86_64&distro=fedora-40", Provides: []string{"/usr/bin/env"},
			},
		}, packages, p)
	}
}

func names(packages []sbom.Package) string {
	var out []string
	for _, p := range packages {
		out = append(out, p.Name+"="+p.Version)
	}
	return strings.Join(out, " ")
}

const plain = "p00=1.0-1.fc40 p01=1.1-1.fc40 p02=1.2-1.fc40 p03=1.3-1.fc40 p04=1.4-1.fc40 p05=1.5-1.fc40 p06=1.6-1.fc40 " +
	"p07=1.7-1.fc40 p08=1.8-1.fc40 p09=1.9-1.fc40 p10=1.10-1.fc40 p11=1.11-1.fc40 p12=1.12-1.fc40 p13=1.13-1.fc40"

func TestSQLite(t *testing.T) {
	db, err := os.ReadFile("testdata/rpmdb.sqlite")
	require.NoError(t, err)
	wal, err := os.ReadFile("testdata/rpmdb.sqlite-wal")
	require.NoError(t, err)
	const p = "/usr/lib/sysimage/rpm/rpmdb.sqlite"

	packages, err := readFile(t, p, db)
	require.NoError(t, err)
	require.Equal(t, plain, names(packages))

	packages, err = readFile(t, p, db, wal...)
	require.NoError(t, err)
	require.Equal(t, strings.Replace(plain, "p03=1.3", "p03=2.0", 1)+" committed=1-1.fc40", names(packages))

	broken := bytes.Clone(wal)
	broken[walHeader+walFrame] ^= 1
	packages, err = readFile(t, p, db, broken...)
	require.NoError(t, err)
	require.Equal(t, plain, names(packages), "nothing counts after a wrong checksum")

	broken = bytes.Clone(wal)
	broken[20] ^= 1
	packages, err = readFile(t, p, db, broken...)
	require.NoError(t, err)
	require.Equal(t, plain, names(packages), "a log that was used up")

	_, err = readFile(t, p, db, wal[:walHeader-1]...)
	require.ErrorIs(t, err, errFormat)

	owners := map[string]string{}
	o := Ownings()[0]
	require.True(t, o.Wants(p))
	require.NoError(t, o.Read(t.Context(), fedora{treetest.Tree{p: db}}, []string{p}, func(p, key string) { owners[p] = key }))
	require.Len(t, owners, 910)
	require.Equal(t, "rpm/p13:noarch", owners["/usr/lib/p13/f99"])
}

// However a database is cut or damaged, reading ends, without a panic, and says
// so unless what it lost was not needed.
func TestDamaged(t *testing.T) {
	db, err := os.ReadFile("testdata/rpmdb.sqlite")
	require.NoError(t, err)
	for p, data := range map[string][]byte{
		"/var/lib/rpm/rpmdb.sqlite": db,
		"/var/lib/rpm/Packages.db":  writeNDB(blob(bash), blob(coreutils)),
		"/var/lib/rpm/Packages":     writeBerkeley(binary.LittleEndian, blob(bash), blob(coreutils)),
	} {
		whole, err := readFile(t, p, data)
		require.NoError(t, err)
		for cut := 0; cut < len(data)/2; cut += 97 {
			packages, err := readFile(t, p, data[:cut])
			require.ErrorIs(t, err, errFormat, "%s cut at %d", p, cut)
			require.Less(t, len(packages), len(whole))
		}
		for at := 0; at < len(data); at += 41 {
			damaged := bytes.Clone(data)
			damaged[at] ^= 0xff
			if _, err := readFile(t, p, damaged); err != nil {
				require.ErrorIs(t, err, errFormat)
			}
		}
	}
}

// Pages that lead to each other would otherwise be read for ever.
func TestCircles(t *testing.T) {
	data := writeBerkeley(binary.LittleEndian, blob(bash))
	binary.LittleEndian.PutUint32(data[2*512+16:], 2)
	_, err := readFile(t, "/var/lib/rpm/Packages", data)
	require.ErrorContains(t, err, "in a circle")

	data = writeNDB(blob(bash), blob(bash), blob(bash))
	for slot := 2; slot < 200; slot++ { // all of them lead to the first
		copy(data[slot*ndbUnit:], data[2*ndbUnit:3*ndbUnit])
	}
	_, err = readFile(t, "/var/lib/rpm/Packages.db", data)
	require.ErrorContains(t, err, "overlap")

	db, err := os.ReadFile("testdata/rpmdb.sqlite")
	require.NoError(t, err)
	s, err := openSQLite(database{ReaderAt: bytes.NewReader(db), size: int64(len(db))})
	require.NoError(t, err)
	root, err := s.table("Packages")
	require.NoError(t, err)
	page := db[(root-1)*512:]
	require.EqualValues(t, sqliteInterior, page[0])
	binary.BigEndian.PutUint32(page[8:], root)
	_, err = readFile(t, "/var/lib/rpm/rpmdb.sqlite", db)
	require.ErrorIs(t, err, errFormat)
}

func TestHeader(t *testing.T) {
	_, err := parseHeader([]byte{0, 0, 0})
	require.ErrorIs(t, err, errFormat)
	huge := blob(bash)
	binary.BigEndian.PutUint32(huge, maxIndex+1)
	_, err = parseHeader(huge)
	require.ErrorIs(t, err, errFormat)
	binary.BigEndian.PutUint32(huge, 1)
	binary.BigEndian.PutUint32(huge[4:], 0xffffffff)
	_, err = parseHeader(huge)
	require.ErrorIs(t, err, errFormat)

	h, err := parseHeader(blob(map[uint32]any{tagName: []uint32{1}, tagDirNames: "x", tagDirIndexes: []uint32{7}, tagBaseNames: []string{"a"}}))
	require.NoError(t, err)
	require.Empty(t, h.text(tagName), "of another type")
	require.Empty(t, h.list(tagDirNames))
	h.files(func(p string) { t.Errorf("%s is in no folder", p) })
	_, err = describe(h, &sbom.System{})
	require.ErrorIs(t, err, errFormat)
}

func TestSource(t *testing.T) {
	require.Equal(t, &sbom.Source{Name: "a-b", Version: "1-2"}, sourceOf("a-b-1-2.src.rpm", "a"))
	require.Equal(t, &sbom.Source{Name: "a", Version: "1-2"}, sourceOf("a-1-2.nosrc.rpm", "b"))
	for _, file := range []string{"", "x", "x.rpm", "-1-2.src.rpm", "1-2.src.rpm", "a-1-2.src.rpm"} {
		require.Nil(t, sourceOf(file, "a"), file)
	}
}

func FuzzDatabase(f *testing.F) {
	db, err := os.ReadFile("testdata/rpmdb.sqlite")
	require.NoError(f, err)
	wal, err := os.ReadFile("testdata/rpmdb.sqlite-wal")
	require.NoError(f, err)
	f.Add(0, db, wal)
	f.Add(1, writeNDB(blob(bash)), []byte(nil))
	f.Add(2, writeBerkeley(binary.BigEndian, blob(coreutils)), []byte(nil))
	f.Fuzz(func(t *testing.T, format int, data, wal []byte) {
		p := folders[0] + []string{"rpmdb.sqlite", "Packages.db", "Packages"}[uint(format)%3]
		packages, err := readFile(t, p, data, wal...)
		if err != nil {
			require.ErrorIs(t, err, errFormat)
		}
		for _, p := range packages {
			require.NotEmpty(t, p.Name)
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(blob(bash))
	f.Add(blob(coreutils))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parseHeader(data)
		if err != nil {
			require.ErrorIs(t, err, errFormat)
			return
		}
		h.files(func(p string) { require.NotContains(t, p, "\x00") })
		_, err = describe(h, &sbom.System{})
		if err != nil {
			require.ErrorIs(t, err, errFormat)
		}
	})
}

var _ io.ReaderAt = file{}
