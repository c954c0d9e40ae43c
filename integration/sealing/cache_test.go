// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sealing

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
)

// The cache drops a step and keeps its seal; then a later step changes, and the
// first has to run again and writes something else. The image has what this
// run wrote, in all its layers.
func TestStepThatRanAgainIsSealedAgain(t *testing.T) {
	from := "FROM " + base(t, "busybox") + "\nRUN head -c 16 /dev/urandom | od -x > /dropped\n"
	first := sources{dockerfile: from + "RUN cp /dropped /copy\n"}.build(t, overlayfs)
	harness.Command{On: overlayfs, Name: "buildctl", Args: []string{"prune", "--filter", "description~=dropped"}}.Must(t)

	src := sources{dockerfile: from + "RUN cp /dropped /copy && true\n"}
	for range 2 {
		img := src.build(t, overlayfs)
		dropped, copied := img.entries(t, 1)["dropped"].content, img.entries(t, 2)["copy"].content
		require.NotEqual(t, first.entries(t, 1)["dropped"].content, dropped, "the step ran again")
		require.Equal(t, dropped, copied)
	}
}
