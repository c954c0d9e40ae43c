// SPDX-License-Identifier: Apache-2.0

//go:build integration

package daemons

import (
	"testing"

	"github.com/containerd/containerd/v2/core/images"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dockerfiles"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/provenance"
)

func everything(on *stand.Stand, tag string, args ...string) build {
	return build{on: on, tag: tag, dockerfile: dockerfiles.Everything, files: dockerfiles.EverythingFiles(), args: args}
}

// The same sources give the same platform manifest on every daemon, with every
// snapshotter and worker, and the same SBOM. What the frontend signed before the export, image ID
// and manifest, is what each of them then exported.
func TestSameManifestOnEveryDaemon(t *testing.T) {
	foretell := []string{"--build-arg", "PLOMB_SUBJECTS=manifest", "--build-arg", "PLOMB_SBOM=files"}
	reference := everything(shared, "reference", foretell...)
	reference.signed = true
	want, _ := reference.must(t)
	require.Len(t, want.Layers(), 1+9)
	require.Len(t, want.byproducts, 2, "packages and files")

	for _, d := range every(t) {
		t.Run(d.name, func(t *testing.T) {
			b := everything(d.start(t), d.name, foretell...)
			b.signed = true
			got, log := b.must(t)
			require.Equal(t, want.Layers(), got.Layers())
			require.Equal(t, want.ID(), got.ID())
			require.Equal(t, want.ManifestDigest, got.ManifestDigest)
			require.Equal(t, want.byproducts, got.byproducts, "the SBOM is the same to the byte")
			require.NotContains(t, log, "[plomb] Daemon", "signed images are the same on all of them")

			require.Contains(t, got.Bundle.Subjects(provenance.SubjectImageID), got.ID().Encoded())
			require.Contains(t, got.Bundle.Subjects(provenance.SubjectManifest), got.ManifestDigest.Encoded())
			out, err := harness.Output(t, shared, "plomb", "verify", got.ref)
			require.NoError(t, err, out)
		})
	}
}

// One signature for two platforms, on every version.
func TestTwoPlatformsOnEveryDaemon(t *testing.T) {
	var want []ocispecs.Descriptor
	for _, d := range versions(t) {
		t.Run(d.name, func(t *testing.T) {
			b := build{on: d.start(t), tag: d.name + "-two", signed: true, files: dockerfiles.EverythingFiles(),
				dockerfile: "FROM scratch\nARG TARGETARCH\nCOPY greeting /${TARGETARCH}\n",
				args:       []string{"--platform", "linux/amd64,linux/arm64"}}
			got, _ := b.must(t)
			require.Len(t, got.Bundle.Statement.Subject, 2)
			out, err := harness.Output(t, shared, "plomb", "verify", got.ref)
			require.NoError(t, err, out)

			require.Greater(t, len(got.Index.Manifests), 2)
			platforms := got.Index.Manifests[:2]
			for i := range platforms {
				platforms[i].Annotations = nil // the signature, new each time
			}
			if want == nil {
				want = platforms
			}
			require.Equal(t, want, platforms)
		})
	}
}

// What docs/daemons.md says of the versions that differ. A row is a version of
// hack/daemons/buildkit-*, or current.
var defaults = map[string]struct {
	// dockerTypes: images without attestations get Docker media types.
	dockerTypes bool
	// artifacts: attestation manifests are OCI artifacts that name their subject.
	artifacts bool
}{
	"v0.26": {dockerTypes: true},
	"v0.29": {dockerTypes: true},
	"v0.31": {},
	current: {artifacts: true},
}

// Where a daemon's defaults give another manifest, the build says so, and says
// what to do; done so, the manifest is the same again.
func TestDefaultsOfDaemons(t *testing.T) {
	unsigned := []string{"--build-arg", "PLOMB_SIGN=off", "--build-arg", "PLOMB_SBOM=off"}
	bare := append([]string{"--provenance=false"}, unsigned...)
	reference := everything(shared, "defaults")
	want, _ := reference.must(t)

	for _, d := range versions(t) {
		t.Run(d.name, func(t *testing.T) {
			row, known := defaults[d.version]
			require.True(t, known, "the table of defaults has no row for %s: add one", d.version)
			on := d.start(t)

			got, log := everything(on, d.name+"-bare", bare...).must(t)
			require.Equal(t, want.ID(), got.ID(), "the image ID is the same whatever the media types")
			if row.dockerTypes {
				require.Contains(t, log, "[plomb] Daemon: ")
				require.Equal(t, images.MediaTypeDockerSchema2Manifest, got.MediaType)
				require.NotEqual(t, want.ManifestDigest, got.ManifestDigest)
			} else {
				require.NotContains(t, log, "[plomb] Daemon: ")
				require.Equal(t, want.ManifestDigest, got.ManifestDigest)
			}

			oci := everything(on, d.name+"-oci", bare...)
			oci.attributes = []string{"oci-mediatypes=true"}
			got, _ = oci.must(t)
			require.Equal(t, want.ManifestDigest, got.ManifestDigest)

			got, log = everything(on, d.name+"-attested", unsigned...).must(t)
			require.NotContains(t, log, "[plomb] Daemon: ")
			require.Equal(t, want.ManifestDigest, got.ManifestDigest)
			require.Equal(t, row.artifacts, got.Attestation(t).ArtifactType != "")
			require.Equal(t, row.artifacts, got.Attestation(t).Subject != nil)

			// Docker media types and a signature: refused, or given OCI types.
			docker := everything(on, d.name+"-docker")
			docker.signed, docker.attributes = true, []string{"oci-mediatypes=false"}
			ref, log, err := docker.run(t)
			if !row.dockerTypes {
				require.Error(t, err)
				require.Contains(t, log, "oci-mediatypes=false")
				return
			}
			require.NoError(t, err, log)
			require.Equal(t, want.ManifestDigest, pull(t, ref).ManifestDigest)
		})
	}
}
