// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// compareFailures requires that both builds failed for the same reason, and
// that both point at the same lines of the Dockerfile.
func compareFailures(t *testing.T, says string, stock, ours printout) {
	t.Helper()
	require.Error(t, stock.err, stock.all)
	require.Error(t, ours.err, ours.all)
	require.Contains(t, stock.all, says)
	require.Contains(t, ours.all, says)
	require.Equal(t, stock.err.Error()[strings.LastIndex(stock.err.Error(), ":"):], ours.err.Error()[strings.LastIndex(ours.err.Error(), ":"):], "exit status")
	require.ElementsMatch(t, sourceLines(stock.all), sourceLines(ours.all), "source lines")
	// BuildKit leaves its outer words out of what any frontend from an image is told.
	core := strings.TrimPrefix(reason(ours.all), "ERROR: failed to build: failed to solve: ")
	require.True(t, strings.HasSuffix(reason(stock.all), core), "reason:\nstock %s\nplomb %s", reason(stock.all), reason(ours.all))
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
	stock := command{args: []string{"build", "--progress=plain", "-f", dir + "/stock", dir}}.run(t.Context())
	ours := command{args: []string{"build", "--progress=plain", "-f", dir + "/plomb", "--build-arg", "PLOMB_SIGN=off", dir}}.run(t.Context())
	ours.all = strings.ReplaceAll(ours.all, "plomb:", "stock:")
	compareFailures(t, "exit code: 6", stock, ours)
	require.Contains(t, ours.all, "   4 | >>> RUN true && \\\n   5 | >>>   exit 6\n")
}
