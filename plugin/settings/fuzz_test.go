// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzNode reads configurations that somebody else wrote. What is accepted
// opens no port to others.
func FuzzNode(f *testing.F) {
	for _, seed := range []string{
		"", "apiVersion: " + Version + "\nname: n\nmetrics: off\n", "metrics: 127.0.0.1:1\nselfTest: 1h\n",
		"nri: {off: true, socket: /s, index: \"10\"}\n", "a: &a [*a]\n", "x: 1\n---\ny: 2\n", "credentials: {dockerConfigs: [a, b]}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "node.yaml")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		n, err := ReadNode(path)
		if err != nil {
			require.ErrorIs(t, err, ErrSettings)
			return
		}
		require.NotEmpty(t, n.Name)
		if n.Metrics != "off" {
			host, _, err := net.SplitHostPort(n.Metrics)
			require.NoError(t, err)
			require.True(t, net.ParseIP(host).IsLoopback())
		}
	})
}
