// SPDX-License-Identifier: Apache-2.0

//go:build integration

package daemons

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dockerfiles"
	"github.com/plombproject/plomb/provenance"
)

func everything(tag string) build {
	return build{tag: tag, dockerfile: dockerfiles.Everything, files: dockerfiles.EverythingFiles()}
}

// The same sources give the same platform manifest on every daemon, with every
// snapshotter and worker, and the signed image verifies.
func TestSameManifestOnEveryDaemon(t *testing.T) {
	reference := everything("reference")
	reference.on, reference.signed = shared, true
	want, _ := reference.must(t)
	require.Len(t, want.layers, 1+9)

	for _, d := range daemons(t) {
		t.Run(d.name, func(t *testing.T) {
			b := everything(d.name)
			b.on, b.signed = d.start(t), true
			got, log := b.must(t)
			require.Equal(t, want.layers, got.layers)
			require.Equal(t, want.config, got.config)
			require.Equal(t, want.manifest, got.manifest)
			require.NotContains(t, log, "[plomb] Daemon", "a signed build is right on all of them")

			require.Len(t, got.subjects, 1)
			require.Equal(t, provenance.SubjectImageID, got.subjects[0].Name)
			require.Equal(t, got.config.Encoded(), got.subjects[0].Digest["sha256"], "what was signed before the export")
			out, err := in(t, shared, "plomb", "verify", got.ref)
			require.NoError(t, err, out)
			t.Logf("attestation manifest: %s, config %s, subject %v", got.attestation.ArtifactType, got.attestation.Config.MediaType, got.attestation.Subject != nil)

			two := build{tag: d.name + "-two", on: b.on, signed: true, files: b.files, args: []string{"--platform", "linux/amd64,linux/arm64"},
				dockerfile: "FROM scratch\nARG TARGETARCH\nCOPY greeting /${TARGETARCH}\n"}
			got, _ = two.must(t)
			require.Len(t, got.subjects, 2)
			out, err = in(t, shared, "plomb", "verify", got.ref)
			require.NoError(t, err, out)

			plain := everything(d.name + "-plain")
			plain.on, plain.args = b.on, []string{"--provenance=false", "--build-arg", "PLOMB_SIGN=off"}
			got, log = plain.must(t)
			t.Log(got.mediaType, got.layerType)
			require.Equal(t, want.config, got.config)
			plain.args = []string{"--build-arg", "PLOMB_SIGN=off"}
			got, log = plain.must(t)
			t.Log("with provenance", got.mediaType, got.layerType)
			require.Equal(t, want.config, got.config)
		})
	}
}
