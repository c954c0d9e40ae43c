// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRandomSteps builds images of random steps, on paths that collide and
// whose names sort about the slash, and seals them: out must end up as upper,
// and the digest must be that of an independent differ, step after step.
func TestRandomSteps(t *testing.T) {
	images := 25
	if testing.Short() {
		images = 10
	}
	for seed := range images {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			s := newStep(t, func(d tree) { mutate(r, d, 12) })
			for range 4 {
				mutate(r, s.upper, 1+r.IntN(8))
				_, _ = s.sealed()
				s.sameContent()
				s = s.next()
			}
			_, got := s.sealed()
			require.Equal(t, []string{}, got, "a step that does nothing")
		})
	}
}

var names = []string{"a", "a-b", "a.b", "a0", "b", "~", "é", ".wh"}

// mutate does n things to d, as a build step could.
func mutate(r *rand.Rand, d tree, n int) {
	for range n {
		p := names[r.IntN(len(names))]
		for r.IntN(3) > 0 {
			p += "/" + names[r.IntN(len(names))]
		}
		if !free(d, p) {
			continue
		}
		info, err := os.Lstat(d.path(p))
		switch there := err == nil; {
		case there && r.IntN(3) == 0:
			d.remove(p)
		case there && info.Mode().IsRegular() && r.IntN(2) == 0:
			d.file(p, fmt.Sprint(r.IntN(3)))
			d.at(late.Add(time.Duration(r.IntN(1e9))), p)
		case there && info.Mode().IsRegular() && r.IntN(2) == 0:
			d.at([]time.Time{early, early.Add(5), clamp, late}[r.IntN(4)], p)
		case there && info.Mode()&os.ModeSymlink == 0 && r.IntN(2) == 0:
			d.mode(p, []uint32{0o700, 0o755, 0o4711}[r.IntN(3)])
		default:
			if there {
				d.remove(p)
			}
			create(r, d, p)
		}
	}
}

func create(r *rand.Rand, d tree, p string) {
	switch r.IntN(8) {
	case 0:
		d.dir(p)
	case 1:
		d.symlink(p, names[r.IntN(len(names))])
	case 2:
		d.fifo(p)
	case 3, 4:
		if to := regular(r, d); to != "" {
			d.link(p, to)
			return
		}
		fallthrough
	default:
		d.file(p, fmt.Sprint(r.IntN(3)))
		d.at([]time.Time{early, clamp, late, late.Add(time.Duration(r.IntN(1e9)))}[r.IntN(4)], p)
	}
}

// free reports whether all parents of p are directories or not there yet.
func free(d tree, p string) bool {
	for dir := filepath.Dir(p); dir != "."; dir = filepath.Dir(dir) {
		if info, err := os.Lstat(d.path(dir)); err == nil && !info.IsDir() {
			return false
		}
	}
	return true
}

// regular returns one of d's regular files, or "".
func regular(r *rand.Rand, d tree) string {
	var all []string
	require.NoError(d.t, filepath.WalkDir(d.root, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			rel, relErr := filepath.Rel(d.root, p)
			all, err = append(all, rel), relErr
		}
		return err
	}))
	if len(all) == 0 {
		return ""
	}
	return all[r.IntN(len(all))]
}
