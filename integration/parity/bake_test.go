// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
)

var baked = map[string]string{
	"docker-bake.hcl": `
variable "WHO" { default = "nobody" }
variable "BASE" { default = "${BUSYBOX}" }
group "default" { targets = ["app", "files"] }
target "base" {
  dockerfile-inline = "FROM ${BASE}\nENV FROM_BASE=yes\nRUN echo base > /base && ln /base /link\nCMD [\"base\"]"
}
target "app" {
  dockerfile = "app.Dockerfile"
  contexts = { base = "target:base", other = "other" }
  args = { WHO = WHO }
  labels = { "who" = WHO }
  output = ["type=oci,dest=DEST/app.tar"]
  attest = ["type=provenance,disabled=true"]
}
target "files" {
  dockerfile-inline = "FROM scratch\nCOPY --from=base /base /\nCOPY file /"
  contexts = { base = "target:base" }
  output = ["type=oci,dest=DEST/files.tar"]
  attest = ["type=provenance,disabled=true"]
}
`,
	"docker-bake.override.json": `{"target": {"app": {"annotations": ["from=json"]}}}`,
	"app.Dockerfile": `FROM base
ARG WHO
RUN echo "$WHO $FROM_BASE" > /who && rm -f /link
COPY --from=other . /other
`,
	"other/file": "other\n",
	"file":       "file\n",
}

// bake builds several targets at once, one of them on top of another.
func TestBake(t *testing.T) {
	dest := map[string]string{}
	for name, set := range map[string][]string{
		"stock": nil,
		"plomb": {"--set", "*.args.BUILDKIT_SYNTAX=" + shared.Frontend, "--set", "*.args.PLOMB_SIGN=off"},
	} {
		dest[name] = t.TempDir()
		dir := folder(t, baked)
		file := filepath.Join(dir, "docker-bake.hcl")
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(data), "DEST", dest[name])), 0o644))
		p := harness.Command{On: shared, Dir: dir, Env: []string{"WHO=somebody"}, Args: slices.Concat([]string{"bake", "--progress=plain", "--allow=fs.write=" + dest[name]}, set)}.Must(t)
		require.NotContains(t, p.All, "OneLayer")
	}
	for _, target := range []string{"app.tar", "files.tar"} {
		s := &sample{differs: map[string]string{}}
		compareIndexes(t, s, openLayout(t, filepath.Join(dest["stock"], target)), openLayout(t, filepath.Join(dest["plomb"], target)))
	}
}

// A target that stands on another one is signed as it is exported, whichever
// frontend built the other.
func TestBakeSigned(t *testing.T) {
	for name, tc := range map[string]struct {
		plomb string // the targets that plomb builds
		set   []string
		base  string
	}{
		"both by plomb":        {plomb: "*"},
		"base by stock":        {plomb: "app"},
		"two platforms":        {plomb: "*", set: []string{"*.platform=linux/amd64,linux/arm64"}, base: given["MULTI"]},
		"one layer of its own": {plomb: "*", set: []string{"app.args.PLOMB_LAYERS=squash"}},
		"one layer each":       {plomb: "*", set: []string{"*.args.PLOMB_LAYERS=squash"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, baked)
			file := filepath.Join(harness.Dir(t), "image.tar")
			set := []string{"bake", "app", "--progress=plain", "--allow=fs.write=" + filepath.Dir(file),
				"--set", "app.output=type=oci,dest=" + file, "--set", "app.args.WHO=somebody"}
			for _, value := range tc.set {
				set = append(set, "--set", value)
			}
			var env []string
			if tc.base != "" {
				env = []string{"BASE=" + tc.base}
			}
			p := harness.Command{On: shared, Dir: dir, Env: env, Args: append(set, bakeArgs(tc.plomb, signed())...)}.Must(t)
			openLayout(t, file).requireSigned(t)
			require.NotContains(t, p.All, "OneLayer")
		})
	}
}

// bakeArgs are the arguments of a build in the words of bake.
func bakeArgs(target string, build []string) []string {
	var args []string
	for i := 0; i < len(build); i += 2 {
		key, value, _ := strings.Cut(build[i+1], "=")
		switch build[i] {
		case "--build-arg":
			args = append(args, "--set", target+".args."+key+"="+value)
		case "--build-context":
			args = append(args, "--set", target+".contexts."+key+"="+value, "--allow=fs.read="+value)
		case "--secret":
			_, src, _ := strings.Cut(value, "src=")
			args = append(args, "--set", target+".secrets="+build[i+1], "--allow=fs.read="+src)
		}
	}
	return args
}
