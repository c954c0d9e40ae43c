// SPDX-License-Identifier: Apache-2.0

//go:build integration

package evidence

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/attach"
)

// The signer of the stand's tokens.
const (
	issuer   = "https://token.actions.githubusercontent.com"
	identity = "^https://github.com/plombproject/demo/"
)

// cosign runs the program that hack/tools --oracles builds.
func cosign(t *testing.T, args ...string) outcome {
	t.Helper()
	program, err := filepath.Abs("../../.build/tools/cosign")
	require.NoError(t, err)
	require.FileExists(t, program, "hack/tools --oracles builds it")
	return command(t, []string{"HOME=" + t.TempDir()}, program, args...)
}

func verifyAttestation(t *testing.T, ref string, more ...string) outcome {
	t.Helper()
	return cosign(t, append([]string{"verify-attestation", "--type", "slsaprovenance1",
		"--trusted-root", on.TrustedRoot(), "--certificate-oidc-issuer", issuer, "--certificate-identity-regexp", identity,
		"--allow-http-registry"}, append(more, ref)...)...)
}

func attached(t *testing.T, args ...string) []attach.Outcome {
	t.Helper()
	var list []attach.Outcome
	require.NoError(t, json.Unmarshal([]byte(plomb(t, 0, append([]string{"attach", "--output", "json"}, args...)...).out), &list))
	return list
}

// cosign, which looks at referrers alone, finds and verifies what attach
// published, and what it verifies is the provenance as it was signed.
func TestCosignVerifiesWhatIsAttached(t *testing.T) {
	ref := build(t, "attach", sources(t, "1.0"), "--build-arg", "PLOMB_SUBJECTS=manifest")
	repo, idx := index(t, ref)
	manifest := repo.Host + "/" + repo.Name + "@" + idx.Manifests[0].Digest.String()

	o := verifyAttestation(t, manifest)
	require.NotZero(t, o.status, "nothing is attached yet: %s", o.all())

	dry := attached(t, "--dry-run", ref)
	require.Equal(t, attach.WouldAttach, dry[0].Status)
	require.NotZero(t, verifyAttestation(t, manifest).status, "a dry run writes nothing")

	first := attached(t, ref)
	require.Len(t, first, 1)
	require.Equal(t, attach.Attached, first[0].Status)
	require.Equal(t, idx.Manifests[0].Digest, first[0].Manifest)
	require.True(t, first[0].Named)
	require.Equal(t, strings.Replace(first[0].Manifest.String(), ":", "-", 1), first[0].Tag, "the stand's registry has no referrers API")

	o = verifyAttestation(t, manifest, "--new-bundle-format")
	require.Zero(t, o.status, o.all())
	o = verifyAttestation(t, manifest)
	require.Zero(t, o.status, o.all())
	var envelope struct{ Payload []byte }
	require.NoError(t, json.Unmarshal([]byte(o.out), &envelope), o.out)
	var statement struct{ Predicate json.RawMessage }
	require.NoError(t, json.Unmarshal(envelope.Payload, &statement))
	require.JSONEq(t, plomb(t, 0, "provenance", "--output", "json", ref).out, string(statement.Predicate))

	again := attached(t, ref)
	require.Equal(t, attach.Present, again[0].Status)
	require.Equal(t, first[0].Referrer, again[0].Referrer)
	_, after := index(t, ref)
	require.Equal(t, idx, after, "the image is what it was")
	plomb(t, 0, "verify", "--require-signed-attestations", ref)

	// Somebody else is not welcome to cosign either.
	o = verifyAttestation(t, manifest, "--certificate-identity-regexp", "^https://github.com/somebody/else/")
	require.NotZero(t, o.status)
	require.Contains(t, o.stderr, "no matching CertificateIdentity found")
}

// Without PLOMB_SUBJECTS=manifest the statement names the image ID, of which
// cosign knows nothing; attach says so.
func TestCosignNeedsTheManifest(t *testing.T) {
	ref := build(t, "imageid", sources(t, "1.0"))
	o := plomb(t, 0, "attach", ref)
	require.Contains(t, o.out, "PLOMB_SUBJECTS=manifest")
	repo, idx := index(t, ref)
	require.NotZero(t, verifyAttestation(t, repo.Host+"/"+repo.Name+"@"+idx.Manifests[0].Digest.String()).status)
}

// Two platforms are two referrers.
func TestAttachTwoPlatforms(t *testing.T) {
	dir := sources(t, "1.0")
	ref := build(t, "two", dir, "--build-arg", "PLOMB_SUBJECTS=manifest", "--platform", "linux/amd64,linux/arm64", "--target", "plain")
	list := attached(t, ref)
	require.Len(t, list, 2)
	require.Equal(t, "linux/arm64", list[1].Platform)
	repo, _ := index(t, ref)
	for _, o := range list {
		v := verifyAttestation(t, repo.Host+"/"+repo.Name+"@"+o.Manifest.String())
		require.Zero(t, v.status, "%s: %s", o.Platform, v.all())
	}
	// Each platform has its own SBOM, and another's counts for nothing.
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		plomb(t, 0, "verify", "--require-signed-attestations", "--platform", platform, ref)
		plomb(t, 0, "sbom", "--platform", platform, ref)
	}
}

// provenance answers who, from what, and what is not known.
func TestProvenanceCommand(t *testing.T) {
	ref := build(t, "provenance", sources(t, "1.0"))
	o := plomb(t, 0, "provenance", ref)
	for _, want := range []string{
		`(?m)^signer +https://github\.com/plombproject/demo/`, `(?m)^builder +https://github\.com/plombproject/demo/`,
		`(?m)^dockerfile +Dockerfile sha256:[0-9a-f]{64}`, `(?m)^image +pkg:docker/`, `(?m)^complete +no$`,
		`gap +a step could fetch anything, network sandbox`, `in +\[.*\] RUN.* Dockerfile:8`,
		`(?m)^byproduct +sbom linux/amd64 application/spdx\+json sha256:`,
	} {
		require.Regexp(t, want, o.out)
	}
	require.Empty(t, o.stderr)
}
