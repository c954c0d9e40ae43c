// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/archive"
	continuity "github.com/containerd/continuity/fs"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The three times of these tests: before, at and after T. The last has a
// fraction, as files of a real build have.
var (
	early = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	clamp = time.Date(2021, 6, 7, 8, 9, 10, 0, time.UTC)
	late  = time.Date(2030, 1, 1, 0, 0, 0, 123456789, time.UTC)
)

// A tree is a directory on disk with shorthands to make what is in it. Paths
// are relative. Whatever is written gets the time `late`, until at says another.
type tree struct {
	t    testing.TB
	root string
}

func (d tree) path(p string) string { return filepath.Join(d.root, p) }

func (d tree) file(p, content string) tree {
	d.dirs(p)
	require.NoError(d.t, os.WriteFile(d.path(p), []byte(content), 0o644))
	return d.mode(p, 0o644).at(late, p)
}

func (d tree) dirs(p string) {
	for i := range p {
		if p[i] == '/' {
			d.dir(p[:i])
		}
	}
}

func (d tree) dir(p string) tree {
	if _, err := os.Lstat(d.path(p)); err == nil {
		return d
	}
	d.dirs(p)
	require.NoError(d.t, os.Mkdir(d.path(p), 0o755))
	return d.mode(p, 0o755)
}

func (d tree) symlink(p, target string) tree {
	d.dirs(p)
	require.NoError(d.t, os.Symlink(target, d.path(p)))
	return d.at(late, p)
}

func (d tree) link(p, to string) tree {
	d.dirs(p)
	require.NoError(d.t, os.Link(d.path(to), d.path(p)))
	return d
}

func (d tree) fifo(p string) tree {
	d.dirs(p)
	require.NoError(d.t, syscall.Mkfifo(d.path(p), 0o644))
	return d.mode(p, 0o644).at(late, p)
}

func (d tree) socket(p string) tree {
	d.dirs(p)
	// A socket's path is limited to 108 bytes, so bind it from close by.
	short, err := os.MkdirTemp("", "s")
	require.NoError(d.t, err)
	defer os.RemoveAll(short)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short + "/s", Net: "unix"})
	require.NoError(d.t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(d.t, os.Rename(short+"/s", d.path(p)))
	require.NoError(d.t, l.Close())
	return d
}

func (d tree) mode(p string, mode uint32) tree {
	require.NoError(d.t, syscall.Chmod(d.path(p), mode))
	return d
}

func (d tree) remove(p string) tree {
	_, err := os.Lstat(d.path(p))
	require.NoError(d.t, err)
	require.NoError(d.t, os.RemoveAll(d.path(p)))
	return d
}

// at sets the modification time of paths, of the links themselves where they are links.
func (d tree) at(when time.Time, paths ...string) tree {
	ts := unix.NsecToTimespec(when.UnixNano())
	for _, p := range paths {
		require.NoError(d.t, unix.UtimesNanoAt(unix.AT_FDCWD, d.path(p), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
	return d
}

// all sets the time of everything in the tree.
func (d tree) all(when time.Time) tree {
	require.NoError(d.t, filepath.WalkDir(d.root, func(p string, _ fs.DirEntry, err error) error {
		if err != nil || p == d.root {
			return err
		}
		rel, err := filepath.Rel(d.root, p)
		d.at(when, rel)
		return err
	}))
	return d
}

// A step is one seal.Layer call in the making.
type step struct {
	t                         testing.TB
	lower, upper, parent, out tree
	rules                     Rules
}

// newStep makes lower with base, all of it early, and copies it to the others.
func newStep(t testing.TB, base func(tree)) *step {
	t.Helper()
	lower := tree{t, t.TempDir()}
	if base != nil {
		base(lower)
	}
	lower.all(early)
	s := &step{t: t, lower: lower, rules: Rules{Time: clamp, Scrub: true}}
	s.upper, s.parent, s.out = s.copy(lower), s.copy(lower), s.copy(lower)
	return s
}

func (s *step) copy(from tree) tree {
	to := tree{s.t, s.t.TempDir()}
	require.NoError(s.t, continuity.CopyDir(to.root, from.root))
	// CopyDir forgets that reading a directory may come after its time was set.
	require.NoError(s.t, filepath.WalkDir(from.root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		require.NoError(s.t, err)
		rel, err := filepath.Rel(from.root, p)
		to.at(info.ModTime(), rel)
		return err
	}))
	return to
}

// sealed runs Layer and checks what must hold for every layer: the digest is
// that of an independent differ, and out has what upper has.
func (s *step) sealed() (*Report, []string) {
	s.t.Helper()
	var seen []Change
	report, err := Layer(context.Background(),
		Dirs{Lower: s.lower.root, Upper: s.upper.root, Out: s.out.root}, s.rules,
		func(_ context.Context, changes []Change) error { seen = changes; return nil })
	require.NoError(s.t, err)

	var layer bytes.Buffer
	require.NoError(s.t, archive.WriteDiff(context.Background(), &layer, s.parent.root, s.out.root))
	require.Equal(s.t, digest.FromBytes(layer.Bytes()), report.DiffID)
	require.EqualValues(s.t, layer.Len(), report.Size)
	list := listing(s.t, &layer)
	requireInLayer(s.t, seen, list)
	return report, list
}

// next is the step that follows s: it builds on what s built, and seals on
// what s sealed.
func (s *step) next() *step {
	n := &step{t: s.t, lower: s.upper, parent: s.out, rules: s.rules}
	n.upper, n.out = s.copy(s.upper), s.copy(s.out)
	return n
}

// sameContent requires that out has what upper has, but for times.
func (s *step) sameContent() {
	s.t.Helper()
	require.Equal(s.t, snapshot(s.t, s.upper.root), snapshot(s.t, s.out.root))
}

// snapshot describes a tree without times, owners and link counts. Sockets,
// which no layer can hold, are left out.
func snapshot(t testing.TB, root string) []string {
	var out []string
	require.NoError(t, filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		require.NoError(t, err)
		rel, err := filepath.Rel(root, p)
		require.NoError(t, err)
		line := fmt.Sprintf("%q %v", rel, info.Mode())
		switch {
		case rel == "." || info.Mode()&os.ModeSocket != 0:
			return nil
		case info.Mode().IsRegular():
			data, err := os.ReadFile(p)
			require.NoError(t, err)
			line += fmt.Sprintf(" %q", data)
		case info.Mode()&os.ModeSymlink != 0:
			target, err := os.Readlink(p)
			require.NoError(t, err)
			line += " -> " + target
		}
		out = append(out, line)
		return nil
	}))
	return out
}

// listing has one line for each entry of a layer, such as
//
//	d etc/ 0755 early
//	- etc/hosts 0644 T
//	l etc/link -> target T
//	h b -> a
//	w etc/.wh.gone
func listing(t testing.TB, layer io.Reader) []string {
	lines := []string{}
	for r := tar.NewReader(layer); ; {
		h, err := r.Next()
		if err == io.EOF {
			return lines
		}
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, r)
		require.NoError(t, err)
		name := strings.ReplaceAll(h.Name, "\n", `\n`)
		switch {
		case h.Typeflag == tar.TypeLink:
			lines = append(lines, fmt.Sprintf("h %s -> %s", name, h.Linkname))
		case h.Typeflag == tar.TypeSymlink:
			lines = append(lines, fmt.Sprintf("l %s -> %s %s", name, h.Linkname, label(h.ModTime)))
		case h.Typeflag == tar.TypeReg && h.Uid == 0 && h.Mode == 0 && strings.HasPrefix(filepath.Base(name), ".wh."):
			lines = append(lines, "w "+name)
		default:
			kind := map[byte]string{tar.TypeDir: "d", tar.TypeReg: "-", tar.TypeFifo: "p"}[h.Typeflag]
			lines = append(lines, fmt.Sprintf("%s %s %04o %s", kind, name, h.Mode, label(h.ModTime)))
		}
	}
}

// requireInLayer checks that what a look is told is what the layer has.
func requireInLayer(t testing.TB, seen []Change, list []string) {
	t.Helper()
	for _, change := range seen {
		name := strings.ReplaceAll(strings.TrimPrefix(change.Path, "/"), "\n", `\n`)
		if change.Deleted {
			name = filepath.Join(filepath.Dir(name), ".wh."+filepath.Base(name))
		}
		require.True(t, slices.ContainsFunc(list, func(line string) bool {
			return (line[0] == 'w') == change.Deleted && strings.HasPrefix(line[2:], name)
		}), "%v is not in %q", change, list)
	}
	own := slices.DeleteFunc(slices.Clone(list), func(line string) bool { return line[0] == 'd' })
	files := slices.DeleteFunc(slices.Clone(seen), func(c Change) bool {
		return !c.Deleted && slices.ContainsFunc(list, func(line string) bool {
			return strings.HasPrefix(line, "d "+strings.ReplaceAll(c.Path[1:], "\n", `\n`)+"/ ")
		})
	})
	require.Len(t, files, len(own), "everything but directories, once")
}

func label(when time.Time) string {
	switch {
	case when.Equal(early):
		return "early"
	case when.Equal(clamp):
		return "T"
	}
	return when.UTC().Format(time.RFC3339Nano)
}
