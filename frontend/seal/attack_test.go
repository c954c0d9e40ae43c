// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a build step made is hostile. Whatever the sealed layer below holds,
// nothing outside of it may be written, moved or even touched.
func TestLayerNeverWritesOutside(t *testing.T) {
	type state struct {
		lower, upper, out tree
		victim            tree
	}
	// Each row makes out, and so the parent, differ from lower: that takes a
	// bug elsewhere, or a differ that was fooled.
	for name, attack := range map[string]func(state){
		"a new file below a link": func(s state) {
			s.lower.dir("dir")
			s.upper.file("dir/evil", "1")
			s.out.symlink("dir", s.victim.root)
		},
		"a new file two levels below a link": func(s state) {
			s.lower.dir("dir/sub")
			s.upper.file("dir/sub/evil", "1")
			s.out.symlink("dir", s.victim.root)
		},
		"a new file below a link that climbs": func(s state) {
			s.lower.dir("dir")
			s.upper.file("dir/evil", "1")
			s.out.symlink("dir", "../../../../../../../../.."+s.victim.root)
		},
		"a new file below a chain of links": func(s state) {
			s.lower.dir("dir")
			s.upper.file("dir/evil", "1")
			s.out.symlink("dir", "step").symlink("step", s.victim.root)
		},
		"a change through a link": func(s state) {
			s.lower.file("dir/file", "1")
			s.upper.file("dir/file", "2")
			s.out.symlink("dir", s.victim.root)
		},
		"a change of a linked file": func(s state) {
			s.lower.file("file", "1")
			s.upper.file("file", "2").mode("file", 0o4777)
			s.out.symlink("file", s.victim.path("file"))
		},
		"the content is as it was, the file a link": func(s state) {
			s.lower.file("file", "1").at(early, "file")
			s.upper.file("file", "victim's").at(late, "file")
			s.out.symlink("file", s.victim.path("file")).at(clamp, "file")
		},
		"a deletion through a link": func(s state) {
			s.lower.file("dir/file", "1").file("dir/sub/deep", "1")
			s.upper.dir("dir")
			s.out.symlink("dir", s.victim.root)
		},
		"a deletion of a link": func(s state) {
			s.lower.file("dir/file", "1")
			s.out.symlink("dir", s.victim.root)
		},
		"a mode of a linked directory": func(s state) {
			s.lower.dir("dir")
			s.upper.dir("dir").mode("dir", 0o777)
			s.out.symlink("dir", s.victim.root)
		},
		"a directory over a link": func(s state) {
			s.upper.file("dir/evil", "1")
			s.out.symlink("dir", s.victim.root)
		},
		"a hard link below a link": func(s state) {
			s.lower.dir("dir")
			s.upper.file("a", "1").link("dir/evil", "a")
			s.out.symlink("dir", s.victim.root)
		},
		"a hard link to what a link hides": func(s state) {
			s.lower.dir("a").file("z", "1")
			s.upper.file("a/file", "1").link("z", "a/file")
			s.out.symlink("a", s.victim.root).file("z", "1")
		},
		"a pipe below a link": func(s state) {
			s.lower.dir("dir")
			s.upper.fifo("dir/evil")
			s.out.symlink("dir", s.victim.root)
		},
		"a link below a link": func(s state) {
			s.lower.dir("dir")
			s.upper.symlink("dir/evil", "/")
			s.out.symlink("dir", s.victim.root)
		},
		"a link of the step's own": func(s state) {
			s.upper.symlink("file", s.victim.path("file")).symlink("dir", s.victim.root)
		},
		"a hard link to a link of the step's own": func(s state) {
			s.upper.symlink("file", s.victim.path("file")).link("other", "file")
		},
		"only times of a directory behind a link": func(s state) {
			s.lower.file("dir/sub/file", "1")
			s.upper.dir("dir/sub")
			s.out.symlink("dir", s.victim.root)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := state{tree{t, t.TempDir()}, tree{t, t.TempDir()}, tree{t, t.TempDir()}, tree{t, t.TempDir()}}
			s.victim.file("file", "victim's").file("sub/deep", "victim's").all(early).at(early, ".")
			before := identity(t, s.victim.root)
			attack(s)

			_, err := Layer(context.Background(),
				Dirs{Lower: s.lower.root, Upper: s.upper.root, Out: s.out.root},
				Rules{Time: clamp, Scrub: true}, nil)
			t.Log("Layer says:", err)
			require.Equal(t, before, identity(t, s.victim.root))
		})
	}
}

// identity has everything of a tree that a write could change.
func identity(t *testing.T, root string) []string {
	out := snapshot(t, root)
	for _, p := range []string{".", "file", "sub", "sub/deep"} {
		info, err := os.Lstat(tree{t, root}.path(p))
		require.NoError(t, err)
		out = append(out, p+" "+info.Mode().String()+" "+info.ModTime().String())
	}
	return out
}

// The image format keeps names that start with .wh. for deletions, so a layer
// cannot hold such a file: whoever unpacks it deletes the file beside it. All
// that can be promised is that the foretold digest is that of the exporter.
func TestLayerForetellsFilesNamedAsWhiteouts(t *testing.T) {
	s := newStep(t, func(d tree) { d.file("precious", "1") })
	s.upper.file(".wh.precious", "1")
	_, got := s.sealed()
	require.Equal(t, []string{"- .wh.precious 0644 T"}, got)
}
