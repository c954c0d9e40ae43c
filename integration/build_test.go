// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
)

// A build is one `buildx build` and what it takes.
type build struct {
	on         *stand.Stand // whose buildkitd; default: shared
	dockerfile string       // without the syntax line; ${BUSYBOX} is the base image
	files      map[string]string
	output     string // default: an image pushed as repo
	repo, tag  string // default: a name made of the test's, latest
	token      string // file with the identity token; "" for none
	settings   string // folder of the named context plomb; default: the local Sigstore's, with a token
	args       []string
}

// An outcome is what a build printed and, where it pushed an image, its reference.
type outcome struct {
	ref string
	log string
	err error
}

// run writes the context and runs buildx.
func (b build) run(t testing.TB) outcome {
	t.Helper()
	if b.on == nil {
		b.on = shared
	}
	if b.repo == "" {
		b.repo = repoName(t)
	}
	if b.tag == "" {
		b.tag = "latest"
	}
	ref := shared.Registry + "/" + b.repo + ":" + b.tag
	if b.output == "" {
		b.output = "type=image,push=true"
	}
	if strings.HasPrefix(b.output, "type=image") {
		b.output += ",name=" + ref
	}
	dir := b.context(t)
	args := append([]string{"build", "--progress=plain", "--output", b.output}, b.args...)
	if b.token != "" {
		args = append(args, "--secret", "id=plomb-id-token,src="+b.token)
		if b.settings == "" {
			b.settings = shared.Sigstore
		}
	}
	if b.settings != "" {
		args = append(args, "--build-context", "plomb="+b.settings)
	}
	log, err := harness.Output(t, b.on, "buildx", append(args, dir)...)
	return outcome{ref: ref, log: log, err: err}
}

// must is run for builds that have to work.
func (b build) must(t testing.TB) outcome {
	t.Helper()
	o := b.run(t)
	require.NoError(t, o.err, o.log)
	return o
}

func (b build) context(t testing.TB) string {
	t.Helper()
	dir := harness.Folder(t, b.files)
	harness.Write(t, dir, "Dockerfile", "# syntax="+shared.Frontend+"\n"+strings.ReplaceAll(b.dockerfile, "${BUSYBOX}", busybox))
	return dir
}

func repoName(t testing.TB) string { return "it/" + harness.Name(t) }

// token writes a fresh identity token to a file and returns the file's name.
func token(t testing.TB, flags ...string) string { return harness.Token(t, shared, flags...) }
