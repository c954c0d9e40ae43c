// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The agent runs providers and helpers as root. One that belongs to somebody
// else could be anything by the time it runs.
func TestProgramsOfOthersAreNotRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	p := newPlugin(t)
	p.configure(one)
	p.program("fake", answer(`"cacheKeyType":"Global"`, annForAll))
	require.NoError(t, os.Chown(filepath.Join(p.dir, "fake"), 65534, -1))
	_, _, err := p.chain().For(t.Context(), "registry.example/app")("registry.example")
	require.ErrorIs(t, err, ErrProgram)
	require.ErrorContains(t, err, "chown")
	require.Zero(t, p.runs())
}
