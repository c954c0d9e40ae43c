// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/provenance"
)

// With PLOMB_SUBJECTS=manifest the signature names the very manifest that the
// exporter writes later, on either snapshotter.
func TestForetoldManifestIsTheExportedOne(t *testing.T) {
	bases := map[string]string{
		"base":    everything,
		"scratch": "FROM scratch\nCOPY greeting /\nCOPY greeting /again\n",
		"squash":  everything,
	}
	for name, dockerfile := range bases {
		t.Run(name, func(t *testing.T) {
			b := build{dockerfile: dockerfile, files: greeting, token: token(t), args: []string{"--build-arg", "PLOMB_SUBJECTS=manifest"}}
			if name == "squash" {
				b.args = append(b.args, "--build-arg", "PLOMB_LAYERS=squash")
			}
			o := b.must(t)
			img := dissect.Pull(t, o.ref)
			require.Contains(t, img.Bundle.Subjects(provenance.SubjectManifest), img.ManifestDigest.Encoded())
			require.Equal(t, provenance.SubjectImageID, img.Bundle.Statement.Subject[0].Name)

			out, err := harness.Output(t, shared, "plomb", "verify", o.ref)
			require.NoError(t, err, out)
			require.Regexp(t, `foretold +this very manifest`, out)
		})
	}
}

// In another compression the image is the same by its ID, and the tools say
// that the manifest is not the one foretold.
func TestManifestThatTurnsOutOtherwise(t *testing.T) {
	o := build{dockerfile: everything, files: greeting, token: token(t),
		output: "type=image,push=true,compression=zstd,force-compression=true",
		args:   []string{"--build-arg", "PLOMB_SUBJECTS=manifest"}}.must(t)
	img := dissect.Pull(t, o.ref)
	require.NotContains(t, img.Bundle.Subjects(provenance.SubjectManifest), img.ManifestDigest.Encoded())
	for _, command := range []string{"verify", "inspect"} {
		out, err := harness.Output(t, shared, "plomb", command, o.ref)
		require.NoError(t, err, out)
		require.Regexp(t, `foretold +another manifest`, out)
		require.Contains(t, out, "compression")
	}
}

// Where the manifest cannot be foretold the image ID is signed all the same.
func TestManifestThatCannotBeForetold(t *testing.T) {
	// A base of zstd layers: what the exporter makes of them is its business.
	base := build{dockerfile: plain, repo: repoName(t) + "/base",
		output: "type=image,push=true,compression=zstd,force-compression=true",
		args:   []string{"--build-arg", "PLOMB_SIGN=off", "--provenance=false"}}.must(t)
	o := build{dockerfile: "FROM " + base.ref + "\nRUN echo on top > /etc/top\n", token: token(t),
		args: []string{"--build-arg", "PLOMB_SUBJECTS=manifest"}}.must(t)
	require.Contains(t, o.log, "[plomb] Manifest: the manifest cannot be foretold")
	img := dissect.Pull(t, o.ref)
	require.Empty(t, img.Bundle.Subjects(provenance.SubjectManifest))
	require.Equal(t, img.Bundle.Statement.Subject[0].Digest["sha256"], img.ID().Encoded())
	out, err := harness.Output(t, shared, "plomb", "verify", o.ref)
	require.NoError(t, err, out)
}
