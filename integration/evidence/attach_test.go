// SPDX-License-Identifier: Apache-2.0

//go:build integration

package evidence

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/verify/attach"
)

// The signer of the stand's tokens.
const (
	issuer   = "https://token.actions.githubusercontent.com"
	identity = "^https://github.com/plombproject/demo/"
)

// cosign runs the program that hack/tools --oracles builds.
func cosign(t *testing.T, args ...string) harness.Printout {
	t.Helper()
	program, err := filepath.Abs("../../.build/tools/cosign")
	require.NoError(t, err)
	require.FileExists(t, program, "hack/tools --oracles builds it")
	return harness.Command{On: on, Name: program, Args: args, Env: []string{"HOME=" + t.TempDir()}}.Run(t)
}

func verifyAttestation(t *testing.T, ref string, more ...string) harness.Printout {
	t.Helper()
	return cosign(t, append([]string{"verify-attestation", "--type", "slsaprovenance1",
		"--trusted-root", on.TrustedRoot(), "--certificate-oidc-issuer", issuer, "--certificate-identity-regexp", identity,
		"--allow-http-registry"}, append(more, ref)...)...)
}

// byDigest is a manifest in ref's repository.
func byDigest(t *testing.T, ref string, manifest digest.Digest) string {
	t.Helper()
	repo, _ := dissect.Registry(t, ref)
	return repo.Host + "/" + repo.Name + "@" + manifest.String()
}

func attached(t *testing.T, args ...string) []attach.Outcome {
	t.Helper()
	var list []attach.Outcome
	require.NoError(t, json.Unmarshal([]byte(plomb(t, 0, append([]string{"attach", "--output", "json"}, args...)...).Out), &list))
	return list
}

// cosign, which looks at referrers alone, finds and verifies what attach
// published, and what it verifies is the provenance as it was signed.
func TestCosignVerifiesWhatIsAttached(t *testing.T) {
	ref := build(t, "attach", sources(t, "1.0"), "--build-arg", "PLOMB_SUBJECTS=manifest")
	image := dissect.Pull(t, ref)
	manifest := byDigest(t, ref, image.ManifestDigest)

	o := verifyAttestation(t, manifest)
	require.NotZero(t, o.Status, "nothing is attached yet: %s", o.All)

	dry := attached(t, "--dry-run", ref)
	require.Equal(t, attach.WouldAttach, dry[0].Status)
	require.NotZero(t, verifyAttestation(t, manifest).Status, "a dry run writes nothing")

	first := attached(t, ref)
	require.Len(t, first, 1)
	require.Equal(t, attach.Attached, first[0].Status)
	require.Equal(t, image.ManifestDigest, first[0].Manifest)
	require.True(t, first[0].Named)
	require.Equal(t, strings.Replace(first[0].Manifest.String(), ":", "-", 1), first[0].Tag, "the stand's registry has no referrers API")

	o = verifyAttestation(t, manifest, "--new-bundle-format")
	require.Zero(t, o.Status, o.All)
	o = verifyAttestation(t, manifest)
	require.Zero(t, o.Status, o.All)
	var envelope struct{ Payload []byte }
	require.NoError(t, json.Unmarshal([]byte(o.Out), &envelope), o.Out)
	var statement struct{ Predicate json.RawMessage }
	require.NoError(t, json.Unmarshal(envelope.Payload, &statement))
	require.JSONEq(t, plomb(t, 0, "provenance", "--output", "json", ref).Out, string(statement.Predicate))

	again := attached(t, ref)
	require.Equal(t, attach.Present, again[0].Status)
	require.Equal(t, first[0].Referrer, again[0].Referrer)
	require.Equal(t, image.Digest, dissect.Pull(t, ref).Digest, "the image is what it was")
	plomb(t, 0, "verify", "--require-signed-attestations", ref)

	// Somebody else is not welcome to cosign either.
	o = verifyAttestation(t, manifest, "--certificate-identity-regexp", "^https://github.com/somebody/else/")
	require.NotZero(t, o.Status)
	require.Contains(t, o.Stderr, "no matching CertificateIdentity found")
}

// Without PLOMB_SUBJECTS=manifest the statement names the image ID, of which
// cosign knows nothing; attach says so.
func TestCosignNeedsTheManifest(t *testing.T) {
	ref := build(t, "imageid", sources(t, "1.0"))
	o := plomb(t, 0, "attach", ref)
	require.Contains(t, o.Out, "PLOMB_SUBJECTS=manifest")
	require.NotZero(t, verifyAttestation(t, byDigest(t, ref, dissect.Pull(t, ref).ManifestDigest)).Status)
}

// Two platforms are two referrers.
func TestAttachTwoPlatforms(t *testing.T) {
	dir := sources(t, "1.0")
	ref := build(t, "two", dir, "--build-arg", "PLOMB_SUBJECTS=manifest", "--platform", "linux/amd64,linux/arm64", "--target", "plain")
	list := attached(t, ref)
	require.Len(t, list, 2)
	require.Equal(t, "linux/arm64", list[1].Platform)
	for _, o := range list {
		v := verifyAttestation(t, byDigest(t, ref, o.Manifest))
		require.Zero(t, v.Status, "%s: %s", o.Platform, v.All)
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
		require.Regexp(t, want, o.Out)
	}
	require.Empty(t, o.Stderr)
}
