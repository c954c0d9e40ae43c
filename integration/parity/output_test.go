// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/provenance"
)

var simple = map[string]string{
	"Dockerfile": `FROM ${BUSYBOX} AS one
RUN echo one > /one
FROM ${BUSYBOX}
COPY --from=one /one /one
COPY file /file
`,
	"file": "file\n",
}

const (
	slsaV1 = "https://slsa.dev/provenance/v1"
	slsa02 = "https://slsa.dev/provenance/v0.2"
	spdx   = "https://spdx.dev/Document"
)

// BuildKit's own provenance is there as with the stock frontend, and is about
// the image that plomb made.
func TestProvenanceMax(t *testing.T) {
	dir := folder(t, simple)
	stock := push(t, shared, "max-stock", dir, "--provenance=mode=max")
	ours := push(t, shared, "max-plomb", dir, append(withPlomb(), "--provenance=mode=max", "--build-arg", "PLOMB_SBOM=off")...)
	want, _ := stock.attested(t)
	got, statements := ours.attested(t)
	require.Equal(t, want, got)
	require.Len(t, got, 1)
	require.Contains(t, []string{slsaV1, slsa02}, got[0])
	_, base, _ := strings.Cut(given["BUSYBOX"], "@sha256:")
	require.Contains(t, string(statements[got[0]]), base, "the base image is no material")
	require.Contains(t, string(statements[got[0]]), "echo one", "mode=max tells the build graph")
}

// scanner is an SBOM generator: it lists the files at the root of what it scans.
const scanner = `FROM ${BUSYBOX}
COPY --chmod=755 <<"EOT" /scan
#!/bin/sh
files=$(cd "$BUILDKIT_SCAN_SOURCE" && find . -maxdepth 1 -type f | sort | tr '\n' ' ')
extras=$(ls "$BUILDKIT_SCAN_SOURCE_EXTRAS" 2>/dev/null | tr '\n' ' ')
cat > "$BUILDKIT_SCAN_DESTINATION/sbom.spdx.json" <<END
{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":{"spdxVersion":"SPDX-2.3","name":"$files","comment":"$extras$BUILDKIT_SCAN_NOTE"}}
END
EOT
ENTRYPOINT ["/scan"]
`

// --sbom runs the scanner of the client's choice, on signed images as well.
func TestSBOM(t *testing.T) {
	generator := push(t, shared, "scanner", folder(t, map[string]string{"Dockerfile": scanner}))
	dir := folder(t, map[string]string{
		"Dockerfile": "ARG BUILDKIT_SBOM_SCAN_STAGE=true\nARG BUILDKIT_SBOM_SCAN_CONTEXT=true\n" + simple["Dockerfile"],
		"file":       simple["file"],
	})
	sbom := "type=sbom,generator=" + generator.ref + ",NOTE=hello"
	scan := []string{"--attest", sbom}
	images := map[string]pushed{
		"stock":  push(t, shared, "sbom-stock", dir, scan...),
		"plomb":  push(t, shared, "sbom-plomb", dir, append(withPlomb(), scan...)...),
		"signed": push(t, shared, "sbom-signed", dir, append(signed(), scan...)...),
	}
	predicates := map[string]any{}
	for name, img := range images {
		types, statements := img.attested(t)
		own := map[string]int{"stock": 0, "plomb": 1, "signed": 1}[name]
		require.Equal(t, 1+own, strings.Count(strings.Join(types, " "), spdx), "the scanner's, and plomb's own")
		require.Equal(t, name == "signed", slices.Contains(types, provenance.PredicateEmbeddedBundle), name)
		var s struct {
			Predicate struct{ Name, Comment string }
			Subject   []struct{ Digest map[string]string }
		}
		require.NoError(t, json.Unmarshal(statements[spdx], &s))
		require.Equal(t, img.ManifestDigest.Encoded(), s.Subject[0].Digest["sha256"])
		predicates[name] = s.Predicate
		require.Equal(t, "./file ./one ", s.Predicate.Name, name)
		require.Contains(t, s.Predicate.Comment, "sbom-context sbom-one hello", name)
	}
	require.Equal(t, predicates["stock"], predicates["plomb"])
	require.Equal(t, predicates["stock"], predicates["signed"])
	require.Equal(t, []string{images["signed"].ID().Encoded()}, images["signed"].subjects())
}

func TestSBOMScannerIsMissing(t *testing.T) {
	dir := folder(t, simple)
	args := []string{"build", "--attest", "type=sbom,generator=" + shared.Registry + "/no/such:scanner", dir}
	stock, ours := harness.Command{On: shared, Args: args}.Run(t), harness.Command{On: shared, Args: slices.Concat(args, withPlomb())}.Run(t)
	compareFailures(t, "no/such:scanner: not found", stock, ours)
}

func TestMetadataFile(t *testing.T) {
	dir := folder(t, simple)
	read := func(name string, extra []string) map[string]any {
		file := filepath.Join(dir, name+".json")
		harness.Command{On: shared, Args: slices.Concat([]string{"build", "--metadata-file", file, "--output", "type=image,push=true,name=" + shared.Registry + "/parity/metadata:" + name}, extra, []string{dir})}.Must(t)
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var m map[string]any
		require.NoError(t, json.Unmarshal(data, &m))
		return m
	}
	stock, ours := read("stock", nil), read("plomb", withPlomb())
	require.Equal(t, slices.Sorted(maps.Keys(stock)), slices.Sorted(maps.Keys(ours)))
	require.Contains(t, ours["image.name"], "/parity/metadata:plomb")
}

// What --load hands to an engine is what the engine knows how to read.
func TestDockerOutput(t *testing.T) {
	dir := folder(t, simple)
	var manifests []string
	for name, extra := range map[string][]string{"stock": nil, "plomb": withPlomb()} {
		file := filepath.Join(t.TempDir(), name+".tar")
		harness.Command{On: shared, Args: slices.Concat([]string{"build", "--provenance=false", "-t", "example.com/loaded:tag", "--output", "type=docker,dest=" + file}, extra, []string{dir})}.Must(t)
		var m []struct {
			Config   string
			RepoTags []string
			Layers   []string
		}
		l := openLayout(t, file)
		require.NoError(t, json.Unmarshal(l.Layout["manifest.json"], &m))
		require.Len(t, m, 1)
		require.Contains(t, l.Layout, m[0].Config)
		require.Len(t, m[0].Layers, 3)
		manifests = append(manifests, strings.Join(m[0].RepoTags, " "))
	}
	require.Equal(t, manifests[0], manifests[1])
}

// type=local and type=tar of an unsigned build hold the image's files alone.
func TestFilesOutput(t *testing.T) {
	dir := folder(t, simple)
	list := func(extra []string) []string {
		to := filepath.Join(t.TempDir(), "out")
		harness.Command{On: shared, Args: slices.Concat([]string{"build", "--output", "type=local,dest=" + to, "--provenance=false"}, extra, []string{dir})}.Must(t)
		entries, err := os.ReadDir(to)
		require.NoError(t, err)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	require.Equal(t, list(nil), list(withPlomb()))
}
