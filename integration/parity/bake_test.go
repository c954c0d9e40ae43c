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
)

var baked = map[string]string{
	"docker-bake.hcl": `
variable "WHO" { default = "nobody" }
group "default" { targets = ["app", "files"] }
target "base" {
  dockerfile-inline = "FROM ${BUSYBOX}\nENV FROM_BASE=yes\nRUN echo base > /base && ln /base /link\nCMD [\"base\"]"
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
RUN echo "$WHO $FROM_BASE" > /who && rm /link
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
		p := command{dir: dir, env: []string{"WHO=somebody"}, args: slices.Concat([]string{"bake", "--progress=plain", "--allow=fs.write=" + dest[name]}, set)}.must(t)
		require.NotContains(t, p.all, "OneLayer")
	}
	for _, target := range []string{"app.tar", "files.tar"} {
		s := &sample{differs: map[string]string{}}
		compareIndexes(t, s, openLayout(t, filepath.Join(dest["stock"], target)), openLayout(t, filepath.Join(dest["plomb"], target)))
	}
}

// A target that stands on another one is signed as it is exported.
func TestBakeSigned(t *testing.T) {
	dir := folder(t, baked)
	args := signed()
	ref := shared.Registry + "/parity/baked:latest"
	set := []string{"bake", "app", "--progress=plain", "--set", "app.output=type=image,push=true,name=" + ref, "--set", "app.attest=type=provenance,mode=min"}
	for i := 0; i < len(args); i += 2 {
		key, value, _ := strings.Cut(args[i+1], "=")
		switch args[i] {
		case "--build-arg":
			set = append(set, "--set", "*.args."+key+"="+value)
		case "--build-context":
			set = append(set, "--set", "*.contexts."+key+"="+value, "--allow=fs.read="+value)
		case "--secret":
			set = append(set, "--set", "*.secrets="+args[i+1])
			_, src, _ := strings.Cut(args[i+1], "src=")
			set = append(set, "--allow=fs.read="+src)
		}
	}
	p := command{dir: dir, args: set}.must(t)
	img := inspect(t, ref)
	img.log = p.all
	require.Equal(t, []string{img.manifest.Config.Digest.String()}, img.subjects, p.all)
}
