// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/node"
	"github.com/plombproject/plomb/plugin/relay"
)

// A call that waits for a disk takes a thread, and a Go program that gets no
// thread ends. Whoever has as many images pulled as are answered at a time, on a
// disk that is kept busy, must not end the agent with it.
func TestBusyDiskLeavesThreads(t *testing.T) {
	files := node.Systemd{Dir: "/units"}.Files(defaultUnit("/usr/local/bin/plomb"))
	m := regexp.MustCompile(`(?m)^TasksMax=([0-9]+)$`).FindSubmatch(files[0].Data)
	require.NotNil(t, m)
	most, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)
	require.Greater(t, most, 2*relay.Concurrent)
}
