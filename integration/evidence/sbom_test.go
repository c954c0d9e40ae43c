// SPDX-License-Identifier: Apache-2.0

//go:build integration

package evidence

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
)

// The SBOM that the frontend attached is the one that it signed.
func TestSignedSBOM(t *testing.T) {
	ref := build(t, "signed", sources(t, "1.0"))
	o := plomb(t, 0, "verify", "--require-signed-attestations", ref)
	require.Regexp(t, `attestation +linux/amd64: signed https://spdx.dev/Document \(sbom\) sha256:`, o.Out)

	var d decision.Decision
	require.NoError(t, json.Unmarshal([]byte(plomb(t, 0, "verify", "--output", "json", ref).Out), &d))
	var signed, unsigned []string
	for _, a := range d.Attestations {
		if a.Status == "signed" {
			signed = append(signed, a.PredicateType)
		} else {
			require.Equal(t, "unsigned", a.Status, a.Reason)
			unsigned = append(unsigned, a.PredicateType)
		}
	}
	require.Equal(t, []string{predicateSPDX}, signed)
	require.NotContains(t, unsigned, predicateSPDX)

	require.Contains(t, plomb(t, 0, "inspect", ref).Out, "(claimed by the unverified statement as sbom)")

	// A copy keeps all of it.
	copied := on.Registry + "/ev/copied:v1"
	o = buildx(t, "imagetools", "create", "--tag", copied, ref)
	plomb(t, 0, "verify", "--require-signed-attestations", copied)
}

// Whoever may write to the registry can put another SBOM beside the image. The
// image stays what it is, and the SBOM is not shown as its own.
func TestSwappedSBOM(t *testing.T) {
	ref := build(t, "swapped", sources(t, "1.0"))
	for tag, change := range map[string]func([]byte) []byte{
		"evil":   func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("hello"), []byte("other")) },
		"spaced": func(b []byte) []byte { return bytes.Replace(b, []byte(`"spdxVersion":`), []byte(`"spdxVersion": `), 1) },
		"twice": func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"predicate":`), []byte(`"predicate":{"spdxVersion":"SPDX-2.3"},"predicate":`), 1)
		},
	} {
		t.Run(tag, func(t *testing.T) {
			evil := swap(t, ref, tag, change)
			o := plomb(t, 0, "verify", evil)
			require.Regexp(t, `attestation +linux/amd64: unsigned https://spdx.dev/Document`, o.Out)
			require.Regexp(t, `attestation +linux/amd64: missing https://spdx.dev/Document \(sbom\) sha256:`, o.Out)
			plomb(t, 1, "verify", "--require-signed-attestations", evil)
			o = plomb(t, 1, "sbom", evil)
			require.Empty(t, o.Out)
			require.Contains(t, o.Stderr, "the SBOM is not the signed one")
			require.Contains(t, plomb(t, 0, "inspect", evil).Out, "(not named by the statement)")
		})
	}
}

// buildx shows our documents as it shows its own.
func TestImagetools(t *testing.T) {
	ref := build(t, "imagetools", sources(t, "1.0"))
	o := buildx(t, "imagetools", "inspect", "--format", "{{json .SBOM}}", ref)
	var shown struct {
		SPDX struct{ Packages []struct{ Name string } }
	}
	require.NoError(t, json.Unmarshal([]byte(o.Out), &shown), o.Out)
	var names []string
	for _, p := range shown.SPDX.Packages {
		names = append(names, p.Name)
	}
	require.Contains(t, names, "hello")
	o = buildx(t, "imagetools", "inspect", "--format", "{{json .Provenance}}", ref)
	require.Contains(t, o.Out, `"SLSA"`)
}

func TestSBOMCommand(t *testing.T) {
	ref := build(t, "command", sources(t, "1.0"), "--build-arg", "PLOMB_SBOM=files")
	o := plomb(t, 0, "sbom", ref)
	require.Regexp(t, `(?m)^NAME +VERSION +TYPE +LICENSE +INSTRUCTION$`, o.Out)
	require.Regexp(t, `(?m)^base-files +12\.4 +deb .* COPY status /var/lib/dpkg/status`, o.Out)
	require.Regexp(t, `(?m)^hello +1\.0 +deb .*RUN printf`, o.Out)

	dir := t.TempDir()
	file := filepath.Join(dir, "app.spdx.json")
	o = plomb(t, 0, "sbom", "--format", "spdx", ref)
	require.NoError(t, os.WriteFile(file, []byte(o.Out), 0o600))
	require.Regexp(t, `(?m)^hello +1\.0`, plomb(t, 0, "sbom", file).Out)

	require.NoError(t, os.WriteFile(file, []byte(plomb(t, 0, "sbom", "--format", "cyclonedx", ref).Out), 0o600))
	require.Regexp(t, `(?m)^hello +1\.0 .*RUN printf`, plomb(t, 0, "sbom", file).Out)

	o = plomb(t, 0, "sbom", "--level", "file", ref)
	require.Regexp(t, `(?m)^[0-9a-f]{64} +/var/lib/dpkg/status$`, o.Out)
	require.Contains(t, plomb(t, 0, "sbom", "--level", "file", "--format", "spdx", ref).Out, `"fileName":"./var/lib/dpkg/status"`)
	require.Contains(t, plomb(t, 0, "sbom", "--level", "image", "--format", "spdx", ref).Out, `"spdxVersion":"SPDX-2.3"`)
	require.Contains(t, plomb(t, 2, "sbom", "--level", "file", build(t, "packages", sources(t, "1.0"))).Stderr, "PLOMB_SBOM=files")
	require.Contains(t, plomb(t, 2, "sbom", build(t, "none", sources(t, "1.0"), "--build-arg", "PLOMB_SBOM=off")).Stderr, "no SBOM")
}

// The minimum elements are counted, of an image as of the document alone.
func TestSBOMCheckCommand(t *testing.T) {
	ref := build(t, "check", sources(t, "1.0"))
	o := plomb(t, 0, "sbom", "check", ref)
	require.Regexp(t, `(?m)^component name +NTIA 2021, CISA 2025 +100\.00% +2 +0 +0$`, o.Out)
	require.Regexp(t, `(?m)^supplier name .* 100\.00% +2 +0 +0$`, o.Out)
	file := filepath.Join(t.TempDir(), "app.json")
	require.NoError(t, os.WriteFile(file, []byte(plomb(t, 0, "sbom", "--format", "spdx", ref).Out), 0o600))
	require.Equal(t, plomb(t, 0, "sbom", "check", "-o", "json", ref).Out, plomb(t, 0, "sbom", "check", "-o", "json", file).Out)
}

// What changed is told with the instruction that did it.
func TestSBOMDiffCommand(t *testing.T) {
	before, after := build(t, "before", sources(t, "1.0")), build(t, "after", sources(t, "2.0"))
	require.Empty(t, plomb(t, 0, "sbom", "diff", before, before).Out)
	o := plomb(t, 1, "sbom", "diff", before, after)
	require.Regexp(t, `(?m)^version +hello +deb +1\.0 +2\.0 +8: RUN printf`, o.Out)
	require.NotContains(t, o.Out, "base-files")
	evil := swap(t, after, "evil", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("2.0"), []byte("1.0")) })
	o = plomb(t, 1, "sbom", "diff", before, evil)
	require.Empty(t, o.Out)
	require.Contains(t, o.Stderr, "the SBOM is not the signed one")
}
