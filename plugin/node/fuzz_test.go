// SPDX-License-Identifier: Apache-2.0

package node

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzManifest: what uninstall believes names clean absolute paths and sound
// digests, whatever is in the file.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"schema":"` + manifestSchema + `","version":"v1","at":"2026-01-01T00:00:00Z","folders":["/a"],"files":[{"path":"/a/b","wrote":[]}],"complete":true}`))
	f.Add([]byte(`{"schema":"` + manifestSchema + `","files":[{"path":"/a/../b","before":{"digest":"sha256:x/../../y","mode":420},"wrote":["x"]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil {
			return
		}
		for _, e := range m.Files {
			require.True(t, filepath.IsAbs(e.Path))
			require.Equal(t, filepath.Clean(e.Path), e.Path)
			if e.Before != nil {
				require.Equal(t, e.Before.Digest.Encoded(), filepath.Base(records{"/state"}.backup(e.Before.Digest)))
			}
		}
	})
}

// FuzzIdentity: a pid file never names init, nor a group of processes.
func FuzzIdentity(f *testing.F) {
	for _, seed := range []string{"2 3\n", "1 1", "-5 1", "0 0", "a b", "2"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if pid, _, ok := parseIdentity(data); ok {
			require.Greater(t, pid, 1)
		}
	})
}
