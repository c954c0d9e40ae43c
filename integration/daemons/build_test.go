// SPDX-License-Identifier: Apache-2.0

//go:build integration

package daemons

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/provenance/slsa"
)

// A build is one `buildx build` that pushes an image.
type build struct {
	on         *stand.Stand
	tag        string // in the repository of the test
	dockerfile string // without the syntax line; ${BUSYBOX} is the base image
	files      map[string]string
	attributes []string // of the exporter
	args       []string
	signed     bool
}

// run returns the reference, and what buildx printed.
func (b build) run(t *testing.T) (ref, log string, err error) {
	t.Helper()
	dir := harness.Folder(t, b.files)
	dockerfile := strings.ReplaceAll(b.dockerfile, "${BUSYBOX}", harness.Base(t, shared, "busybox"))
	harness.Write(t, dir, "Dockerfile", "# syntax="+shared.Frontend+"\n"+dockerfile)
	ref = shared.Registry + "/it/daemons:" + b.tag
	args := harness.Push(ref, b.attributes...)
	if b.signed {
		args = append(args, harness.Signed(t, shared)...)
	}
	log, err = harness.Output(t, b.on, "buildx", append(append(args, b.args...), dir)...)
	return ref, log, err
}

func (b build) must(t *testing.T) (pushed, string) {
	t.Helper()
	ref, log, err := b.run(t)
	require.NoError(t, err, log)
	return pull(t, ref), log
}

// A pushed image, taken apart.
type pushed struct {
	dissect.Image
	ref        string
	byproducts []slsa.ResourceDescriptor // that the signed statement names
}

func pull(t *testing.T, ref string) pushed {
	t.Helper()
	p := pushed{Image: dissect.Pull(t, ref), ref: ref}
	if p.Bundle != nil {
		p.byproducts = p.Bundle.Provenance(t).RunDetails.Byproducts
	}
	return p
}
