// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sealfs_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/frontend/seal"
)

// overlay mounts layers, the topmost first; with a top layer to write to if
// there is one.
func overlay(t *testing.T, top string, layers ...string) string {
	t.Helper()
	at := t.TempDir()
	options := "lowerdir=" + layers[0]
	for _, l := range layers[1:] {
		options += ":" + l
	}
	if top != "" {
		options += ",upperdir=" + top + ",workdir=" + t.TempDir()
	}
	require.NoError(t, unix.Mount("overlay", at, "overlay", 0, options))
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	return at
}

func shell(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// Directories of overlayfs are passed over where that is safe: the layer is
// the one that a look at everything makes. Each change comes right after the
// base was made, in the same tick of the clock if need be.
func TestOverlayShortcutsMissNothing(t *testing.T) {
	require.Zero(t, os.Getuid(), "run as root")
	for i, change := range []string{
		"true",
		"echo changed > a/b/c/file",
		"echo new > a/b/c/new",
		"rm a/b/c/file",
		"rm -r a/b/c",
		"rm -r a/b/c && mkdir a/b/c && echo else > a/b/c/file",
		"rm -r a/b/c && mkdir a/b/c && echo file > a/b/c/other",
		"rm -r a/b && echo b > a/b",
		"mv a/b a/z",
		"mv a/b tmp; mv d a/b; mv tmp d",
		"chmod 700 a/b/c",
		"chown 5:6 a/b",
		"chmod 600 a/b/c/file",
		"touch -r a/b/c/file ref; echo FILE > a/b/c/file; touch -r ref a/b/c/file; rm ref",
		"ln a/b/c/file a/b/linked",
		"rm a/b/c/link; ln -s file a/b/c/link",
		"mkdir -p e/f/g; echo x > e/f/g/h; rm d/file",
		"find . -name file -exec sh -c 'echo more >> $1' - {} ';'",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			first, second, top := t.TempDir(), t.TempDir(), t.TempDir()
			shell(t, first, "mkdir -p a/b/c d/e; for d in . a a/b a/b/c d d/e; do echo file > $d/file; done; ln -s other a/b/c/link")
			shell(t, overlay(t, second, first), "echo more > d/more; rm d/e/file")
			shell(t, overlay(t, top, second, first), change)

			lower, upper := overlay(t, "", second, first), overlay(t, "", top, second, first)
			want := seal.Dirs{Lower: t.TempDir(), Upper: t.TempDir(), Out: t.TempDir()}
			out := t.TempDir()
			for to, from := range map[string]string{want.Lower: lower, want.Upper: upper, want.Out: lower, out: lower} {
				shell(t, to, "cp -a "+from+"/. .")
			}
			full, err := seal.Layer(context.Background(), want, seal.Rules{Time: clamp}, nil)
			require.NoError(t, err)
			short, err := seal.Layer(context.Background(), seal.Dirs{Lower: lower, Upper: upper, Out: out}, seal.Rules{Time: clamp}, nil)
			require.NoError(t, err)
			require.Equal(t, full, short, "after: %s", change)
			require.Equal(t, change == "true", full.Changes == 0)
			_, err = os.Lstat(filepath.Join(out, "file"))
			require.NoError(t, err)
		})
	}
}
