// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// emptyTar is the digest of 1024 zero bytes: a tar of nothing.
var emptyTar = func() string {
	sum := sha256.Sum256(make([]byte, 1024))
	return "sha256:" + hex.EncodeToString(sum[:])
}()

func TestLayer(t *testing.T) {
	for name, row := range map[string]struct {
		base, change func(tree)
		want         []string
	}{
		"nothing at all": {nil, func(tree) {}, []string{}},
		"nothing changed": {
			func(d tree) { d.file("a", "1").link("b", "a").symlink("dir/l", "x").fifo("dir/p") },
			func(tree) {}, []string{}},
		"a file is new": {
			func(d tree) { d.file("dir/old", "1") },
			func(d tree) { d.file("dir/new", "2") },
			[]string{"d dir/ 0755 T", "- dir/new 0644 T"}},
		"a file is changed": {
			func(d tree) { d.file("a", "1").file("b", "1") },
			func(d tree) { d.file("a", "2") },
			[]string{"- a 0644 T"}},
		"a file of the same size and time to the second is changed": {
			func(d tree) { d.file("a", "1") },
			func(d tree) { d.file("a", "2").at(early.Add(time.Millisecond), "a") },
			[]string{"- a 0644 early"}},
		"a file is changed and its time put back": {
			func(d tree) { d.file("a", "1") },
			func(d tree) { d.file("a", "2").at(early, "a") },
			[]string{"- a 0644 early"}},
		"a link is changed and its time put back": {
			func(d tree) { d.symlink("l", "x") },
			func(d tree) { d.remove("l").symlink("l", "y").at(early, "l") },
			[]string{"l l -> y early"}},
		"a file is empty now": {
			func(d tree) { d.file("a", "1") },
			func(d tree) { d.file("a", "") },
			[]string{"- a 0644 T"}},
		"a file is deleted": {
			func(d tree) { d.file("dir/a", "1").file("dir/b", "1") },
			func(d tree) { d.remove("dir/a") },
			[]string{"d dir/ 0755 T", "w dir/.wh.a"}},
		"a directory is deleted": {
			func(d tree) { d.file("dir/a/b/c", "1").file("dir.txt", "1") },
			func(d tree) { d.remove("dir") },
			[]string{"w .wh.dir"}},
		"a directory becomes a file": {
			func(d tree) { d.file("x/a/b", "1").file("x/z", "1") },
			func(d tree) { d.remove("x").file("x", "2") },
			[]string{"- x 0644 T"}},
		"a file becomes a directory": {
			func(d tree) { d.file("x", "1") },
			func(d tree) { d.remove("x").file("x/a/b", "2").all(late) },
			[]string{"d x/ 0755 T", "d x/a/ 0755 T", "- x/a/b 0644 T"}},
		"a directory becomes a link to where it was moved": {
			func(d tree) { d.file("bin/sh", "1").dir("usr") },
			func(d tree) {
				require.NoError(d.t, os.Rename(d.path("bin"), d.path("usr/bin")))
				d.symlink("bin", "usr/bin").all(late)
			},
			[]string{"l bin -> usr/bin T", "d usr/ 0755 T", "d usr/bin/ 0755 T", "- usr/bin/sh 0644 T"}},
		"a link becomes a directory": {
			func(d tree) { d.file("usr/bin/sh", "1").symlink("bin", "usr/bin") },
			func(d tree) { d.remove("bin").file("bin/sh", "2").all(late).at(early, "usr", "usr/bin", "usr/bin/sh") },
			[]string{"d bin/ 0755 T", "- bin/sh 0644 T"}},
		"a directory is emptied and filled again": {
			func(d tree) { d.file("dir/a", "1").file("dir/b", "1") },
			func(d tree) { d.remove("dir").file("dir/b", "2").file("dir/c", "1").all(late) },
			[]string{"d dir/ 0755 T", "w dir/.wh.a", "- dir/b 0644 T", "- dir/c 0644 T"}},
		"links are new, made and kept": {
			func(d tree) { d.symlink("kept", "x").symlink("turned", "x") },
			func(d tree) {
				d.symlink("dangling", "/no/where").symlink("up", "../../..").remove("turned").symlink("turned", "y").symlink("old", "x").at(early, "old")
			},
			[]string{"l dangling -> /no/where T", "l old -> x early", "l turned -> y T", "l up -> ../../.. T"}},
		"a pipe is new": {
			nil, func(d tree) { d.fifo("run/p").mode("run/p", 0o620).all(late) },
			[]string{"d run/ 0755 T", "p run/p 0620 T"}},
		"a pipe replaces a file": {
			func(d tree) { d.file("p", "1") }, func(d tree) { d.remove("p").fifo("p") },
			[]string{"p p 0644 T"}},
		"modes are special": {
			nil, func(d tree) {
				d.file("su", "1").mode("su", 0o4755).file("sg", "1").mode("sg", 0o2710).dir("tmp").mode("tmp", 0o1777).file("none", "").mode("none", 0o444).all(late)
			},
			[]string{"- none 0444 T", "- sg 2710 T", "- su 4755 T", "d tmp/ 1777 T"}},
		"only a mode changes": {
			func(d tree) { d.file("a", "1").dir("d") },
			func(d tree) { d.mode("a", 0o4711).mode("d", 0o700) },
			[]string{"- a 4711 early", "d d/ 0700 T"}},
		"a socket is new": {
			nil, func(d tree) { d.socket("run/s").at(late, "run") },
			[]string{"d run/ 0755 T"}},
		"a socket replaces a file": {
			func(d tree) { d.file("s", "1") }, func(d tree) { d.remove("s").socket("s") },
			[]string{"w .wh.s"}},
		"a file is only touched": {
			func(d tree) { d.file("dir/a", "1").symlink("dir/l", "x").fifo("dir/p") },
			func(d tree) {
				d.at(early.Add(300*time.Millisecond), "dir/a", "dir/l", "dir/p").at(late, "dir")
			},
			[]string{}},
		"a file is written anew as it was": {
			func(d tree) { d.file("dir/a", "1") },
			func(d tree) { d.remove("dir/a").file("dir/a", "1").at(early.Add(time.Nanosecond), "dir/a") },
			[]string{}},
		"a file is touched to another second": {
			func(d tree) { d.file("a", "1") }, func(d tree) { d.at(late, "a") },
			[]string{"- a 0644 T"}},
		"times are fractions, or before the epoch": {
			nil, func(d tree) {
				d.file("a", "1").file("b", "1").at(early.Add(999999999), "a").at(time.Unix(-2, 5e8), "b")
			},
			[]string{"- a 0644 early", "- b 0644 1969-12-31T23:59:58Z"}},
		"only ancestors' times are late": {
			func(d tree) { d.file("x/y/z/a", "1").file("x/other/b", "1") },
			func(d tree) { d.file("x/y/z/new", "1").at(early, "x/y/z/new", "x/y").at(late, "x", "x/y/z", "x/other") },
			[]string{"d x/ 0755 T", "d x/y/ 0755 T", "d x/y/z/ 0755 T", "- x/y/z/new 0644 early"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStep(t, row.base)
			row.change(s.upper)
			report, got := s.sealed()
			require.Equal(t, row.want, got)
			s.sameContent()
			require.Empty(t, report.Scrubbed)
			if len(row.want) == 0 {
				require.EqualValues(t, emptyTar, report.DiffID)
				require.EqualValues(t, 1024, report.Size)
			}
			s.wholeSeconds()
		})
	}
}

// wholeSeconds requires that nothing in out is later than T or has a fraction.
func (s *step) wholeSeconds() {
	s.t.Helper()
	for _, line := range snapshot(s.t, s.out.root) {
		var name string
		_, err := fmt.Sscanf(line, "%q", &name)
		require.NoError(s.t, err)
		info, err := os.Lstat(s.out.path(name))
		require.NoError(s.t, err)
		require.Zero(s.t, info.ModTime().Nanosecond(), name)
		require.False(s.t, info.ModTime().After(clamp), name)
	}
}

func TestLayerCountsChanges(t *testing.T) {
	s := newStep(t, func(d tree) { d.file("gone", "1").file("mod", "1").file("same", "1") })
	s.upper.remove("gone").file("mod", "2").file("dir/new", "1")
	report, _ := s.sealed()
	require.Equal(t, 4, report.Changes, "gone, mod, dir, dir/new")
}

func TestLayerHardLinks(t *testing.T) {
	for name, row := range map[string]struct {
		base, change func(tree)
		want         []string
	}{
		"the set is new": {
			nil, func(d tree) { d.file("a", "1").link("b", "a").link("dir/c", "a").all(late) },
			[]string{"- a 0644 T", "h b -> a", "d dir/ 0755 T", "h dir/c -> a"}},
		"the set is changed": {
			func(d tree) { d.file("a", "1").link("b", "a") },
			func(d tree) { d.file("a", "2") },
			[]string{"- a 0644 T", "h b -> a"}},
		"one member is deleted": {
			func(d tree) { d.file("a", "1").link("b", "a").link("c", "a") },
			func(d tree) { d.remove("a") },
			[]string{"w .wh.a"}},
		// What follows is not tied to files of a layer below: see applier.links.
		"a member is new, the rest is not": {
			func(d tree) { d.file("b", "1") },
			func(d tree) { d.link("a", "b").link("c", "b") },
			[]string{"- a 0644 early", "h c -> a"}},
		"the first member is touched only": {
			func(d tree) { d.file("a", "1") },
			func(d tree) { d.link("b", "a").link("c", "a").at(early.Add(1), "a") },
			[]string{"- b 0644 early", "h c -> b"}},
		"a member in the middle is touched only": {
			func(d tree) { d.file("b", "1") },
			func(d tree) { d.link("a", "b").link("c", "b").at(early.Add(1), "b") },
			[]string{"- a 0644 early", "h b -> a", "h c -> a"}},
		"a set breaks apart": {
			func(d tree) { d.file("a", "1").link("b", "a") },
			func(d tree) { d.remove("b").file("b", "2") },
			[]string{"- b 0644 T"}},
		"two files become one": {
			func(d tree) { d.file("a", "1").file("b", "1") },
			func(d tree) { d.remove("b").link("b", "a").at(late, "a") },
			[]string{"- a 0644 T", "h b -> a"}},
		"a link replaces a directory": {
			func(d tree) { d.file("b/x", "1") },
			func(d tree) { d.remove("b").file("a", "1").link("b", "a") },
			[]string{"- a 0644 T", "h b -> a"}},
		"symbolic links and pipes are linked": {
			nil, func(d tree) { d.symlink("l1", "x").link("l2", "l1").fifo("p1").link("p2", "p1") },
			[]string{"l l1 -> x T", "h l2 -> l1", "p p1 0644 T", "h p2 -> p1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStep(t, row.base)
			row.change(s.upper)
			_, got := s.sealed()
			require.Equal(t, row.want, got)
			s.sameContent()
		})
	}
}

func TestLayerOddNames(t *testing.T) {
	odd := []string{"a\nb", "\xff\xfe", "ünï", ".hidden", "...", " ", "-rf", "*", "back\\slash", strings.Repeat("n", 255),
		"deep/" + strings.Repeat("abcdefghij/", 40) + "end", "cache.wh.", "%s%n"}
	s := newStep(t, func(d tree) { d.file("gone\n", "1").file("mod\xff", "1") })
	for _, n := range odd {
		s.upper.file(n, n)
	}
	s.upper.remove("gone\n").file("mod\xff", "2").symlink("l", "to\n\xff")
	_, got := s.sealed()
	s.sameContent()
	list := strings.Join(got, "\x00")
	for _, n := range odd {
		require.Contains(t, list, "- "+strings.ReplaceAll(n, "\n", `\n`)+" 0644 T")
	}
	require.Contains(t, list, `w .wh.gone\n`)
}

// A layer is about what a step did, not about what the seal of earlier steps
// did to times.
func TestLayerOnTopOfASealedOne(t *testing.T) {
	first := newStep(t, func(d tree) { d.file("base", "1") })
	first.upper.file("dir/a", "1").file("dir/b", "1").link("dir/c", "dir/b").symlink("dir/l", "a").all(late)
	_, _ = first.sealed()

	second := first.next()
	_, got := second.sealed()
	require.Equal(t, []string{}, got, "a step that does nothing")

	third := first.next()
	third.upper.file("dir/a", "2").remove("dir/c").at(late.Add(time.Minute), "dir", "dir/a")
	_, got = third.sealed()
	require.Equal(t, []string{"d dir/ 0755 T", "- dir/a 0644 T", "w dir/.wh.c"}, got)
	third.sameContent()
	third.wholeSeconds()
}

// A time to the nanosecond can be put back as well.
func TestLayerSeesContentBehindTimesThatWerePutBack(t *testing.T) {
	first := newStep(t, nil)
	first.upper.file("a", "1").at(late, "a")
	_, _ = first.sealed()
	second := first.next()
	second.upper.file("a", "2").at(late, "a")
	_, got := second.sealed()
	require.Equal(t, []string{"- a 0644 T"}, got)
	second.sameContent()
}

// Where overlayfs sees a copy, a walking differ sees the file: neither inode
// numbers nor the wall time of the build may matter.
func TestLayerIsTheSameOnAnotherDay(t *testing.T) {
	order := []string{"z", "m/y", "m/x", "a", "m/n/w"}
	build := func(order []string, when time.Time) *Report {
		s := newStep(t, func(d tree) { d.file("base/f", "1").file("base/g", "1") })
		for _, n := range order {
			s.upper.file(n, "content of "+n)
			require.NoError(t, os.Chtimes(s.upper.path(n), when.Add(time.Hour), when))
		}
		s.upper.link("linked", "m/x").symlink("s", "z").remove("base/g")
		s.upper.at(when, "m", "m/n", "base", "s")
		report, _ := s.sealed()
		s.sameContent()
		return report
	}
	one := build(order, late)
	other := build([]string{"m/n/w", "a", "m/x", "z", "m/y"}, late.Add(1234*time.Hour+567))
	require.Equal(t, one, other)
}

func TestLayerStopsWhenAsked(t *testing.T) {
	s := newStep(t, nil)
	s.upper.file("a", "1").file("b", "1")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Layer(ctx, Dirs{Lower: s.lower.root, Upper: s.upper.root, Out: s.out.root}, s.rules, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestLayerNamesThePathThatFails(t *testing.T) {
	s := newStep(t, nil)
	s.upper.file("dir/a", "1")
	// out lacks what parent and lower have.
	s.lower.dir("dir")
	_, err := Layer(context.Background(), Dirs{Lower: s.lower.root, Upper: s.upper.root, Out: s.out.root}, s.rules, nil)
	require.ErrorContains(t, err, "/dir/a")
	require.ErrorContains(t, err, "carry over the changes")

	_, err = Layer(context.Background(), Dirs{Lower: s.lower.root, Upper: s.upper.root, Out: s.out.path("absent")}, s.rules, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}
