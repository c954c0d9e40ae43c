// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
)

// What is on a node is root's; who is not, is told so and not the agent's state.
func TestRootHint(t *testing.T) {
	denied := fmt.Errorf("mode.json: %w", fs.ErrPermission)
	require.Equal(t, "; try it as root", rootHint(denied, 1000))
	require.Empty(t, rootHint(denied, 0))
	require.Empty(t, rootHint(fs.ErrNotExist, 1000))
}

// A probation that has ended is over, and not told as if it went on.
func TestModeLine(t *testing.T) {
	past, future := time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	state := admission.State{Mode: admission.Enforce, Since: past, Probation: &future}
	require.Contains(t, modeLine(state), "on probation until")
	state.Probation = &past
	require.NotContains(t, modeLine(state), "probation")
}
