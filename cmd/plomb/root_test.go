// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is on a node is root's; who is not, is told so and not the agent's state.
func TestRootHint(t *testing.T) {
	denied := fmt.Errorf("mode.json: %w", fs.ErrPermission)
	require.Equal(t, "; try it as root", rootHint(denied, 1000))
	require.Empty(t, rootHint(denied, 0))
	require.Empty(t, rootHint(fs.ErrNotExist, 1000))
}
