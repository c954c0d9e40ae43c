// SPDX-License-Identifier: Apache-2.0

package containerd_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/containerd"
)

func TestVerifiers(t *testing.T) {
	program := func(t *testing.T, path string) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755))
	}
	for name, c := range map[string]struct {
		make  func(t *testing.T, dir string)
		max   int
		fatal bool
		says  []string
	}{
		"good": {make: func(t *testing.T, dir string) { program(t, dir+"/plomb-verifier") }, max: -1},
		"not there": {make: func(t *testing.T, dir string) { require.NoError(t, os.Remove(dir)) },
			fatal: true, says: []string{"not there: every image is admitted"}},
		"empty": {make: func(*testing.T, string) {}, fatal: true, says: []string{"empty: every image is admitted"}},
		"another's": {make: func(t *testing.T, dir string) { program(t, dir+"/cosign") },
			fatal: true, max: -1, says: []string{"without plomb-verifier: plomb is not asked", `also "cosign": it is run too, and may refuse what plomb admits`}},
		"past the limit": {make: func(t *testing.T, dir string) { program(t, dir+"/a"); program(t, dir+"/plomb-verifier") }, max: 1,
			fatal: true, says: []string{"plomb-verifier is file 2, and max_verifiers is 1: plomb is not asked", `also "a": it is run too, and may refuse what plomb admits`}},
		"not executable": {make: func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(dir+"/plomb-verifier", []byte("x"), 0o644))
		}, max: 10, says: []string{`"plomb-verifier" is not executable: every pull fails`}},
		"stray": {make: func(t *testing.T, dir string) {
			program(t, dir+"/plomb-verifier")
			require.NoError(t, os.Mkdir(dir+"/old", 0o755))
			require.NoError(t, os.WriteFile(dir+"/README", nil, 0o755))
			require.NoError(t, os.Symlink("/nowhere", dir+"/link"))
		}, max: 10, says: []string{`"README" is empty: every pull fails`, `"link" cannot be read: every pull fails`, `"old" is a folder: every pull fails`}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "bin")
			require.NoError(t, os.Mkdir(dir, 0o755))
			c.make(t, dir)
			var says []string
			fatal := false
			for _, f := range containerd.Verifiers(containerd.Facts{BinDir: dir, MaxVerifiers: c.max}) {
				says = append(says, f.Value+": "+f.Effect)
				fatal = fatal || f.Fatal
				require.Equal(t, dir, f.Setting)
			}
			require.Equal(t, c.says, says)
			require.Equal(t, c.fatal, fatal)
		})
	}
}
