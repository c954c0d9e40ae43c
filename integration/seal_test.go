// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/dockerfiles"
	"github.com/plombproject/plomb/provenance"
)

// everything has each kind of file and of change that a layer can hold.
const everything = dockerfiles.Everything

var greeting = dockerfiles.EverythingFiles()

// The same Dockerfile gives the same platform manifest with and without cache,
// on another daemon, and with another snapshotter.
func TestSameManifestOnTwoDaemons(t *testing.T) {
	first := dissect.Pull(t, build{dockerfile: everything, files: greeting, args: []string{"--no-cache"}}.must(t).ref)
	again := dissect.Pull(t, build{dockerfile: everything, files: greeting, args: []string{"--no-cache"}}.must(t).ref)
	cached := dissect.Pull(t, build{dockerfile: everything, files: greeting}.must(t).ref)
	other := dissect.Pull(t, build{dockerfile: everything, files: greeting, on: native}.must(t).ref)

	require.Equal(t, first.ManifestDigest, again.ManifestDigest, "a second build without cache")
	require.Equal(t, first.ManifestDigest, cached.ManifestDigest, "a build from cache")
	require.Equal(t, first.ManifestDigest, other.ManifestDigest, "the native snapshotter")
	require.Len(t, first.Manifest.Layers, 1+9, "each step is a layer above the base's one")
}

// What the frontend signed before the export is what the exporter then wrote.
func TestForetoldConfigIsTheExportedOne(t *testing.T) {
	tok := token(t)
	signed := dissect.Pull(t, build{dockerfile: everything, files: greeting, token: tok}.must(t).ref)
	require.NotNil(t, signed.Bundle)
	require.Len(t, signed.Bundle.Statement.Subject, 1)
	require.Equal(t, provenance.SubjectImageID, signed.Bundle.Statement.Subject[0].Name)
	foretold := signed.Bundle.Statement.Subject[0].Digest["sha256"]
	require.Equal(t, foretold, signed.ID().Encoded())

	tests := map[string]struct {
		output   string
		unsigned bool // BuildKit refuses attestations there, or docker load does
		args     []string
	}{
		"zstd":              {output: "type=image,push=true,compression=zstd,force-compression=true"},
		"uncompressed":      {output: "type=image,push=true,compression=uncompressed,force-compression=true"},
		"rewrite-timestamp": {output: "type=image,push=true,rewrite-timestamp=true"},
		"docker-types":      {output: "type=image,push=true,oci-mediatypes=false", unsigned: true, args: []string{"--build-arg", "PLOMB_SBOM=off"}},
		"oci":               {output: "type=oci"},
		"docker":            {output: "type=docker", unsigned: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			b := build{dockerfile: everything, files: greeting, output: tc.output, token: tok}
			if tc.unsigned {
				b.token, b.args = "", append([]string{"--provenance=false", "--build-arg", "PLOMB_SIGN=off"}, tc.args...)
			}
			got := buildTo(t, b)
			require.Equal(t, foretold, got.ID().Encoded())
			require.Equal(t, tc.unsigned, got.Bundle == nil)
		})
	}
}

// SOURCE_DATE_EPOCH goes into the config and into no layer.
func TestSourceDateEpochChangesNoLayer(t *testing.T) {
	at := func(seconds string) dissect.Image {
		return buildTo(t, build{dockerfile: everything, files: greeting, token: token(t),
			output: "type=image,push=true,rewrite-timestamp=true",
			args:   []string{"--build-arg", "SOURCE_DATE_EPOCH=" + seconds}})
	}
	monday, tuesday := at("1790000000"), at("1790086400")
	require.Equal(t, monday.Layers(), tuesday.Layers())
	require.NotEqual(t, monday.ID(), tuesday.ID())
	require.Equal(t, monday.Bundle.Statement.Subject[0].Digest["sha256"], monday.ID().Encoded())
	require.Equal(t, tuesday.Bundle.Statement.Subject[0].Digest["sha256"], tuesday.ID().Encoded())
}

// A new commit time alone runs no step and no seal again.
func TestSourceDateEpochRunsNothingAgain(t *testing.T) {
	at := func(seconds string) string {
		return build{dockerfile: everything, files: greeting, args: []string{"--build-arg", "SOURCE_DATE_EPOCH=" + seconds}}.must(t).log
	}
	at("1790000000")
	log := at("1790086400")
	steps := 0
	for _, vertex := range regexp.MustCompile(`(?m)^(#\d+) \[(?:plomb\] seal|stage-1 \d)`).FindAllStringSubmatch(log, -1) {
		steps++
		require.Contains(t, log, vertex[1]+" CACHED")
	}
	require.NotZero(t, steps, log)
}

// buildTo builds and takes the image apart where the exporter put it.
func buildTo(t *testing.T, b build) dissect.Image {
	t.Helper()
	switch b.output {
	case "type=oci", "type=docker":
		dest := filepath.Join(t.TempDir(), "image.tar")
		b.output += ",dest=" + dest
		b.must(t)
		return dissect.ReadLayout(t, dest).Image(t)
	}
	return dissect.Pull(t, b.must(t).ref)
}

func TestSquashMakesOneLayer(t *testing.T) {
	img := dissect.Pull(t, build{dockerfile: everything, files: greeting, token: token(t),
		args: []string{"--build-arg", "PLOMB_LAYERS=squash"}}.must(t).ref)
	require.Len(t, img.Manifest.Layers, 1+1)
	require.Equal(t, img.Bundle.Statement.Subject[0].Digest["sha256"], img.ID().Encoded())
}

func TestFromScratch(t *testing.T) {
	img := dissect.Pull(t, build{dockerfile: "FROM scratch\nCOPY greeting /\n", files: greeting, token: token(t)}.must(t).ref)
	require.Len(t, img.Manifest.Layers, 1)
	require.Equal(t, img.Bundle.Statement.Subject[0].Digest["sha256"], img.ID().Encoded())
}

// A build for two platforms is signed once, for both.
func TestTwoPlatforms(t *testing.T) {
	img := dissect.Pull(t, build{dockerfile: "FROM scratch\nARG TARGETARCH\nCOPY greeting /${TARGETARCH}\n", files: greeting, token: token(t),
		args: []string{"--platform", "linux/amd64,linux/arm64"}}.must(t).ref)
	require.Len(t, img.Bundle.Statement.Subject, 2)
	require.Equal(t, "linux/amd64", img.Bundle.Statement.Subject[0].Annotations[provenance.AnnotationPlatform])
	require.Equal(t, "linux/arm64", img.Bundle.Statement.Subject[1].Annotations[provenance.AnnotationPlatform])
	require.Equal(t, img.Index.Manifests[0].Annotations[provenance.BundleAnnotation], img.Index.Manifests[1].Annotations[provenance.BundleAnnotation])
	require.Equal(t, img.Bundle.Statement.Subject[0].Digest["sha256"], img.ID().Encoded())
}
