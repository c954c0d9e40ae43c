// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
)

// compareFailures requires that both builds failed for the same reason, and
// that both point at the same lines of the Dockerfile.
func compareFailures(t *testing.T, says string, stock, ours harness.Printout) {
	t.Helper()
	require.Error(t, stock.Err, stock.All)
	require.Error(t, ours.Err, ours.All)
	require.Contains(t, stock.All, says)
	require.Contains(t, ours.All, says)
	require.Equal(t, stock.Err.Error()[strings.LastIndex(stock.Err.Error(), ":"):], ours.Err.Error()[strings.LastIndex(ours.Err.Error(), ":"):], "exit status")
	require.ElementsMatch(t, sourceLines(stock.All), sourceLines(ours.All), "source lines")
	// BuildKit leaves its outer words out of what any frontend from an image is told.
	core := strings.TrimPrefix(reason(ours.All), "ERROR: failed to build: failed to solve: ")
	require.True(t, strings.HasSuffix(reason(stock.All), core), "reason:\nstock %s\nplomb %s", reason(stock.All), reason(ours.All))
}

var block = regexp.MustCompile(`(?ms)^[^\n]*:\d+\n-{20}\n.*?^-{20}$`)

// sourceLines is the part of the Dockerfile that an error is about.
func sourceLines(log string) []string { return block.FindAllString(log, -1) }

// refID is BuildKit's name for a snapshot, new for every build.
var refID = regexp.MustCompile(`ref [0-9a-z]+::[0-9a-z]+`)

// reason is the last line that starts with ERROR.
func reason(log string) string {
	var last string
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "ERROR: ") {
			last = strings.TrimSpace(line)
		}
	}
	return refID.ReplaceAllString(last, "ref")
}

var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// lintWarnings are the warnings that buildx sums up at the end, without ours.
func lintWarnings(log string) []string {
	_, list, _ := strings.Cut(colour.ReplaceAllString(log, ""), " found (use docker --debug to expand):\n")
	var warnings []string
	for line := range strings.Lines(list) {
		if strings.HasPrefix(line, " - ") && !strings.Contains(line, "[plomb]") {
			warnings = append(warnings, strings.TrimSpace(line))
		}
	}
	return warnings
}

// The line that names the frontend takes the place of another directive here.
// It is not blamed for what fails behind it.
func TestSyntaxLine(t *testing.T) {
	dir := folder(t, map[string]string{
		"stock": "# escape=\\\n# check=skip=all\nFROM ${BUSYBOX}\nRUN true && \\\n  exit 6\n",
		"plomb": "# syntax=" + shared.Frontend + "\n# check=skip=all\nFROM ${BUSYBOX}\nRUN true && \\\n  exit 6\n",
	})
	stock := harness.Command{On: shared, Args: []string{"build", "--progress=plain", "-f", dir + "/stock", dir}}.Run(t)
	ours := harness.Command{On: shared, Args: []string{"build", "--progress=plain", "-f", dir + "/plomb", "--build-arg", "PLOMB_SIGN=off", dir}}.Run(t)
	ours.All = strings.ReplaceAll(ours.All, "plomb:", "stock:")
	compareFailures(t, "exit code: 6", stock, ours)
	require.Contains(t, ours.All, "   4 | >>> RUN true && \\\n   5 | >>>   exit 6\n")
}
