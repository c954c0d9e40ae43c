// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sbom

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
)

// A build is one `buildx build`. ${BUSYBOX} and ${DEBIAN} in the Dockerfile are
// the base images.
type build struct {
	on         *stand.Stand // the shared one if nil
	dir        string       // the context; made from the next two if ""
	dockerfile string       // without the syntax line
	files      map[string]string
	args       []string
	env        []string
	level      string // PLOMB_SBOM; packages if ""
	signed     bool
	output     string // an image in the registry if ""
	tag        string // of that image; v1 if ""
}

// unasked is the level of a build that does not say PLOMB_SBOM.
const unasked = "unasked"

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

func (b build) ref(t *testing.T) string {
	tag := b.tag
	if tag == "" {
		tag = "v1"
	}
	return on.Registry + "/sb/" + strings.Trim(notInName.ReplaceAllString(strings.ToLower(t.Name()), "-"), "-") + ":" + tag
}

// run builds, and returns the reference and what buildx said.
func (b build) run(t *testing.T) (string, outcome) {
	t.Helper()
	if b.on == nil {
		b.on = on
	}
	if b.dir == "" {
		b.dir = folder(t, b.dockerfile, b.files)
	}
	ref, output := b.ref(t), b.output
	if output == "" {
		output = "type=image,push=true,name=" + ref
	}
	args := []string{"build", "--progress=plain", "--provenance=false", "--output", output}
	switch b.level {
	case unasked:
	case "":
		args = append(args, "--build-arg", "PLOMB_SBOM=packages")
	default:
		args = append(args, "--build-arg", "PLOMB_SBOM="+b.level)
	}
	if b.signed {
		token, err := hack("token")
		require.NoError(t, err)
		b.env = append(b.env, "PLOMB_TEST_TOKEN="+token)
		args = append(args, "--secret", "id=plomb-id-token,env=PLOMB_TEST_TOKEN", "--build-context", "plomb="+on.Sigstore)
	} else {
		args = append(args, "--build-arg", "PLOMB_SIGN=off")
	}
	return ref, command(t, b.on, b.env, "buildx", append(append(args, b.args...), b.dir)...)
}

// push builds an image into the registry and takes it apart.
func (b build) push(t *testing.T) *image {
	t.Helper()
	ref, o := b.run(t)
	require.Zero(t, o.status, o.all())
	img := pull(t, ref)
	img.log = o.all()
	return img
}

// folder writes a build context.
func folder(t *testing.T, dockerfile string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, make := range map[string]func() (string, error){"${BUSYBOX}": busybox, "${DEBIAN}": debian} {
		if strings.Contains(dockerfile, name) {
			ref, err := make()
			require.NoError(t, err)
			dockerfile = strings.ReplaceAll(dockerfile, name, ref)
		}
	}
	write(t, dir, "Dockerfile", "# syntax="+on.Frontend+"\n"+dockerfile)
	for name, text := range files {
		write(t, dir, name, text)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
}

var progress = regexp.MustCompile(`(?m)^#(\d+) (.*)$`)

// steps tells of each step in the progress display whether the cache had it.
// Steps that were neither done nor cached did not get to run.
func steps(log string) map[string]bool {
	names, cached := map[string]string{}, map[string]bool{}
	for _, m := range progress.FindAllStringSubmatch(log, -1) {
		name, known := names[m[1]]
		switch {
		case !known:
			names[m[1]] = m[2]
		case m[2] == "CACHED":
			cached[name] = true
		case strings.HasPrefix(m[2], "DONE "):
			cached[name] = false
		}
	}
	return cached
}
