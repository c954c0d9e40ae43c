// SPDX-License-Identifier: Apache-2.0

package sbom_test

import (
	"errors"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/sbom"
)

func seq(files ...sbom.File) iter.Seq2[sbom.File, error] {
	return func(yield func(sbom.File, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
	}
}

func collect(t *testing.T, files iter.Seq2[sbom.File, error]) []sbom.File {
	t.Helper()
	out := []sbom.File{}
	for f, err := range files {
		require.NoError(t, err)
		out = append(out, f)
	}
	return out
}

func TestMergeFiles(t *testing.T) {
	conf := sbom.File{Path: "/etc/x.conf", SHA1: "1", Owner: "deb/x"}
	edited := sbom.File{Path: "/etc/x.conf", SHA1: "2"}
	below := sbom.File{Path: "/etc/x/y", SHA1: "3"}
	still := edited
	still.Owner = "deb/x"
	cases := map[string]struct {
		layers []sbom.FileLayer
		want   []sbom.File
	}{
		"nothing":               {nil, []sbom.File{}},
		"as it was":             {[]sbom.FileLayer{{Files: seq(conf, below)}, {}}, []sbom.File{conf, below}},
		"edited":                {[]sbom.FileLayer{{Files: seq(conf)}, {Files: seq(edited)}}, []sbom.File{still}},
		"edited twice":          {[]sbom.FileLayer{{Files: seq(conf)}, {Files: seq(edited)}, {Files: seq(edited)}}, []sbom.File{still}},
		"deleted":               {[]sbom.FileLayer{{Files: seq(conf, below)}, {Gone: []string{"/etc/x.conf"}}}, []sbom.File{below}},
		"deleted with folder":   {[]sbom.FileLayer{{Files: seq(conf, below)}, {Gone: []string{"/etc"}}}, []sbom.File{}},
		"replaced":              {[]sbom.FileLayer{{Files: seq(conf)}, {Gone: []string{"/etc"}, Files: seq(edited)}}, []sbom.File{edited}},
		"deleted, then written": {[]sbom.FileLayer{{Files: seq(conf)}, {Gone: []string{"/etc"}}, {Files: seq(edited)}}, []sbom.File{edited}},
		"a file for a folder":   {[]sbom.FileLayer{{Files: seq(conf, below)}, {Files: seq(sbom.File{Path: "/etc/x"})}}, []sbom.File{{Path: "/etc/x"}, conf}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, collect(t, sbom.MergeFiles(c.layers)))
		})
	}
}

// TestMergeFilesAsAMapWould compares with the obvious way, which needs all
// files in memory.
func TestMergeFilesAsAMapWould(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	all := []string{"/a", "/a!", "/a-b", "/a-b/c", "/a/b", "/a/b/c", "/a/b0", "/a0", "/b/a"}
	for range 2000 {
		var layers []sbom.FileLayer
		want := map[string]sbom.File{}
		for i := range 4 {
			var written []sbom.File
			var gone []string
			for _, path := range all {
				switch random.IntN(5) {
				case 0, 1:
					owner := []string{"", "deb/x"}[random.IntN(2)]
					written = append(written, sbom.File{Path: path, Size: int64(i), Owner: owner})
				case 2:
					gone = append(gone, path)
				}
			}
			// A folder for a file is among what is gone.
			for _, f := range written {
				for path := range want {
					if strings.HasPrefix(f.Path, path+"/") {
						gone = append(gone, path)
					}
				}
			}
			written = slices.DeleteFunc(written, func(f sbom.File) bool {
				return slices.ContainsFunc(written, func(g sbom.File) bool { return strings.HasPrefix(g.Path, f.Path+"/") })
			})
			layers = append(layers, sbom.FileLayer{Files: seq(written...), Gone: gone})
			lay(want, written, gone)
		}
		got := collect(t, sbom.MergeFiles(layers))
		sorted := []sbom.File{}
		for _, path := range slices.Sorted(maps.Keys(want)) {
			sorted = append(sorted, want[path])
		}
		require.Equal(t, sorted, got)
	}
}

// lay lays one layer on the files below it.
func lay(image map[string]sbom.File, written []sbom.File, gone []string) {
	under := func(path, top string) bool { return path == top || strings.HasPrefix(path, top+"/") }
	for _, g := range gone {
		maps.DeleteFunc(image, func(path string, _ sbom.File) bool { return under(path, g) })
	}
	for _, f := range written {
		if old, there := image[f.Path]; there && f.Owner == "" {
			f.Owner = old.Owner
		}
		maps.DeleteFunc(image, func(path string, _ sbom.File) bool { return under(path, f.Path) })
		image[f.Path] = f
	}
}

func TestMergeFilesRefusesWhatIsNotSorted(t *testing.T) {
	for _, files := range [][]sbom.File{{{Path: "/b"}, {Path: "/a"}}, {{Path: "/a"}, {Path: "/a"}}} {
		var last error
		for _, err := range sbom.MergeFiles([]sbom.FileLayer{{}, {Files: seq(files...)}}) {
			last = err
		}
		require.ErrorIs(t, last, sbom.ErrUnsorted)
	}
}

func TestMergeFilesHandsErrorsOn(t *testing.T) {
	broken := errors.New("disk on fire")
	files := func(yield func(sbom.File, error) bool) {
		if yield(sbom.File{Path: "/a"}, nil) {
			yield(sbom.File{}, broken)
		}
	}
	var last error
	for _, err := range sbom.MergeFiles([]sbom.FileLayer{{Files: files}}) {
		last = err
	}
	require.ErrorIs(t, last, broken)

	for range sbom.MergeFiles([]sbom.FileLayer{{Files: seq(sbom.File{Path: "/a"}, sbom.File{Path: "/b"})}}) {
		break // the lists are let go of
	}
}

func BenchmarkMergeFiles(b *testing.B) {
	const n = 500_000
	list := func(step int) iter.Seq2[sbom.File, error] {
		return func(yield func(sbom.File, error) bool) {
			for i := 0; i < n; i += step {
				if !yield(sbom.File{Path: "/usr/lib/" + string([]byte{'a' + byte(i/65536), byte(32 + i/1024%64), byte(32 + i/32%32), byte(64 + i%32)})}, nil) {
					return
				}
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		count := 0
		for _, err := range sbom.MergeFiles([]sbom.FileLayer{{Files: list(1)}, {Files: list(7), Gone: []string{"/usr/lib/c"}}}) {
			require.NoError(b, err)
			count++
		}
		require.Positive(b, count)
	}
}
