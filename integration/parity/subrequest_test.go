// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
)

var asked = map[string]string{
	"Dockerfile": `# a comment
ARG GLOBAL=1
FROM ${BUSYBOX} as base
ARG ONE=1
# what two is for
ARG TWO
RUN --mount=type=secret,id=a,required=true --mount=type=ssh true
RUN --mount=type=cache,target=/c true
# the stage that is meant
FROM base AS Second
MAINTAINER somebody
CMD echo a
`,
	"clean":  "FROM ${BUSYBOX}\nCMD [\"true\"]\n",
	"broken": "FROM ${BUSYBOX}\nRUM true\n",
}

// Questions about a Dockerfile get the answers of the stock frontend.
func TestCalls(t *testing.T) {
	dir := folder(t, asked)
	for _, file := range []string{"Dockerfile", "clean", "broken"} {
		for _, call := range []string{
			"outline", "outline,format=json", "targets", "targets,format=json",
			"check", "check,format=json", "convertllb", "subrequests.describe",
		} {
			t.Run(file+" "+call, func(t *testing.T) {
				t.Parallel()
				args := []string{"build", "-f", dir + "/" + file, "--call=" + call}
				stock := harness.Command{On: shared, Args: append(slices.Clone(args), dir)}.Run(t)
				ours := harness.Command{On: shared, Args: slices.Concat(args, withPlomb(), []string{dir})}.Run(t)
				require.Equal(t, stock.Err == nil, ours.Err == nil, "%s\n%s", stock.All, ours.All)
				require.Equal(t, timeless(stock.Out), timeless(ours.Out))
			})
		}
	}
}

func TestCheckFlag(t *testing.T) {
	dir := folder(t, asked)
	stock := harness.Command{On: shared, Args: []string{"build", "--check", dir}}.Run(t)
	ours := harness.Command{On: shared, Args: append(withPlombBuild(), "--check", dir)}.Run(t)
	require.ErrorContains(t, stock.Err, "exit status 1")
	require.ErrorContains(t, ours.Err, "exit status 1")
	require.Contains(t, ours.Out, "MaintainerDeprecated")
	require.Equal(t, stock.Out, ours.Out)
}

func withPlombBuild() []string { return append([]string{"build"}, withPlomb()...) }

// The same through buildctl, where no buildx stands between.
func TestSubrequests(t *testing.T) {
	dir := folder(t, asked)
	for _, id := range []string{"frontend.outline", "frontend.targets", "frontend.lint", "frontend.convertllb", "frontend.subrequests.describe"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			ask := func(frontend ...string) harness.Printout {
				args := []string{"build", "--local", "context=" + dir, "--local", "dockerfile=" + dir, "--opt", "requestid=" + id}
				return harness.Command{On: shared, Name: "buildctl", Args: append(args, frontend...)}.Must(t)
			}
			stock := ask("--frontend", "dockerfile.v0")
			ours := ask("--frontend", "gateway.v0", "--opt", "source="+shared.Frontend)
			require.NotEmpty(t, stock.Out)
			require.Equal(t, timeless(stock.Out), timeless(ours.Out))
		})
	}
}

var (
	encoded = regexp.MustCompile(`[A-Za-z0-9+/]{40,}=*`)
	session = regexp.MustCompile(`local\.session\x12\x19[a-z0-9]{25}`)
	hashed  = regexp.MustCompile(`sha256:[0-9a-f]{64}`)
)

// timeless is an answer without what is new for every client: its session,
// which is in the operations of a build graph, and so in their digests and in
// the order of what is sorted by them.
func timeless(answer string) []string {
	plain := encoded.ReplaceAllStringFunc(hashed.ReplaceAllString(answer, "sha256:"), func(s string) string {
		data, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return s
		}
		return hashed.ReplaceAllString(session.ReplaceAllString(string(data), "local.session"), "sha256:")
	})
	lines := strings.Split(plain, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(strings.TrimSpace(line), ",")
	}
	slices.Sort(lines)
	return lines
}
