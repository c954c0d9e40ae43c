// SPDX-License-Identifier: Apache-2.0

//go:build integration

package keyed

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
)

// status is 0 for an image that is to be allowed, and 1 for one that is not.
func status(allowed bool) int {
	if allowed {
		return 0
	}
	return 1
}

// An image is what its signature can prove and no more, whatever is asked.
func TestKeyMatrix(t *testing.T) {
	for _, p := range []proof{none, logged, stamps, both, loggedV1, undated} {
		t.Run(p.name, func(t *testing.T) {
			ref := push(t, "matrix-"+p.name, append(cosigned(mine), p.settings()...)...)
			requireProof(t, ref, p)
			plomb(t, 0, "verify", "--key", pubFile(mine), ref)
			plomb(t, 1, "verify", "--key", pubFile(theirs), ref)
			plomb(t, 0, "verify", "--key", pubFile(theirs), "--key", pubFile(mine), ref)
			plomb(t, status(p.dated()), "verify", "--key", pubFile(mine), "--require-tlog", ref)
			plomb(t, status(p.stamp), "verify", "--key", pubFile(mine), "--use-signed-timestamps", ref)
			plomb(t, status(p.log > 0 && p.stamp), "verify", "--key", pubFile(mine), "--require-tlog", "--use-signed-timestamps", ref)
			plomb(t, 1, "verify", "--certificate-oidc-issuer-regexp", ".*", "--certificate-identity-regexp", ".*", ref)

			copied := on.Registry + "/moved/" + p.name + ":v1"
			harness.Command{On: on, Args: []string{"imagetools", "create", "--tag", copied, ref}}.Must(t)
			plomb(t, 0, "verify", "--key", pubFile(mine), copied)
		})
	}
}

// requireProof demands the bundle that a key makes, with that proof and no
// other.
func requireProof(t *testing.T, ref string, p proof) {
	t.Helper()
	b := dissect.Pull(t, ref).Bundle
	require.NotNil(t, b)
	require.Empty(t, b.Certificate)
	var doc struct {
		VerificationMaterial struct {
			PublicKey struct {
				Hint string `json:"hint"`
			} `json:"publicKey"`
			TlogEntries []json.RawMessage `json:"tlogEntries"`
			Timestamps  struct {
				RFC3161 []json.RawMessage `json:"rfc3161Timestamps"`
			} `json:"timestampVerificationData"`
		} `json:"verificationMaterial"`
	}
	require.NoError(t, json.Unmarshal(b.Raw, &doc))
	require.Equal(t, p.log > 0, len(doc.VerificationMaterial.TlogEntries) == 1)
	require.Equal(t, p.stamp, len(doc.VerificationMaterial.Timestamps.RFC3161) == 1)

	data, err := os.ReadFile(pubFile(mine))
	require.NoError(t, err)
	block, _ := pem.Decode(data)
	sum := sha256.Sum256(block.Bytes)
	require.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), doc.VerificationMaterial.PublicKey.Hint)
	require.Equal(t, "https://plombproject.github.io/builder/key/"+hex.EncodeToString(sum[:]), b.Provenance(t).RunDetails.Builder.ID)
}

// openssl makes a key, as an administrator would.
func openssl(t *testing.T, out string, args ...string) {
	t.Helper()
	args = slices.Insert(slices.Clone(args), 1, "-out", out)
	output, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
	require.NoError(t, err, string(output))
}

// Every kind of key that plomb verifies it also signs with, and the log and the
// timestamp authority take the signatures.
func TestKeyKinds(t *testing.T) {
	hashes := map[string]string{"p384": "sha384", "p521": "sha512"}
	for name, args := range map[string][]string{
		"p256":     {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"p384":     {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
		"p521":     {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"},
		"sec1":     {"ecparam", "-name", "prime256v1", "-genkey"},
		"ed25519":  {"genpkey", "-algorithm", "ED25519"},
		"rsa-2048": {"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
		"rsa-4096": {"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"},
		"pkcs1":    {"genrsa", "-traditional", "3072"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			key, pub := filepath.Join(dir, "key.pem"), filepath.Join(dir, "pub.pem")
			openssl(t, key, args...)
			openssl(t, pub, "pkey", "-in", key, "-pubout")
			secret, err := os.ReadFile(key)
			require.NoError(t, err)
			ref, manifest := attached(t, name, append([]string{"--secret", "id=plomb-key,src=" + harness.Secret(t, string(secret))}, both.settings()...)...)
			var hashed []string // neither plomb nor cosign takes the hash from the curve
			if hash := hashes[name]; hash != "" {
				hashed = []string{"--signature-digest-algorithm", hash}
			}
			plomb(t, 0, append([]string{"verify", "--key", pub, "--require-tlog", "--use-signed-timestamps", ref}, hashed...)...)
			plomb(t, 1, "verify", "--key", pubFile(theirs), ref)
			o := cosignVerify(t, "verify-attestation", pub, append(hashed, "--type", "slsaprovenance1", manifest)...)
			// cosign v3.1.3 makes attestations with Ed25519ph as well, and does
			// not verify its own.
			require.Equal(t, name == "ed25519", o.Status != 0, o.All)
		})
	}
}

// One signature is about all platforms.
func TestKeyedPlatforms(t *testing.T) {
	ref := push(t, "platforms", append(cosigned(mine), "--platform", "linux/amd64,linux/arm64")...)
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		plomb(t, 0, "verify", "--key", pubFile(mine), "--require-signed-attestations", "--platform", platform, ref)
	}
}

// cosign, which looks at referrers alone, finds and verifies what attach
// published.
func TestCosignVerifiesKeyedBuilds(t *testing.T) {
	_, manifest := attached(t, "cosign", append(cosigned(mine), both.settings()...)...)
	cosign := func(command, key string, more ...string) harness.Printout {
		return cosignVerify(t, command, pubFile(key), append(more, manifest)...)
	}
	o := cosign("verify-attestation", mine, "--type", "slsaprovenance1")
	require.Zero(t, o.Status, o.All)
	o = cosign("verify-attestation", mine, "--type", "slsaprovenance1", "--use-signed-timestamps")
	require.Zero(t, o.Status, o.All)
	o = cosign("verify-attestation", theirs, "--type", "slsaprovenance1")
	require.NotZero(t, o.Status, o.All)
	// Provenance is no cosign signature, but about the image all the same.
	o = cosign("verify", mine)
	require.Zero(t, o.Status, o.All)
	o = cosign("verify", theirs)
	require.NotZero(t, o.Status, o.All)
}

// Without a log, cosign has to be told that this is what was meant.
func TestCosignVerifiesBareKeys(t *testing.T) {
	_, manifest := attached(t, "bare", cosigned(mine)...)
	args := []string{"--type", "slsaprovenance1", manifest}
	require.NotZero(t, cosignVerify(t, "verify-attestation", pubFile(mine), args...).Status)
	o := cosignVerify(t, "verify-attestation", pubFile(mine), append(args, "--insecure-ignore-tlog")...)
	require.Zero(t, o.Status, o.All)
	require.NotZero(t, cosignVerify(t, "verify-attestation", pubFile(theirs), append(args, "--insecure-ignore-tlog")...).Status)
}

// attached builds and publishes the signature for tools that look for
// referrers, and returns the image and the manifest that the signature names.
func attached(t *testing.T, name string, args ...string) (ref, manifest string) {
	t.Helper()
	ref = push(t, name, append(args, "--build-arg", "PLOMB_SUBJECTS=manifest", "--build-arg", "PLOMB_SIGN=key")...)
	plomb(t, 0, "attach", ref)
	repo, _ := dissect.Registry(t, ref)
	return ref, repo.Host + "/" + repo.Name + "@" + dissect.Pull(t, ref).ManifestDigest.String()
}

func cosignVerify(t *testing.T, command, pub string, more ...string) harness.Printout {
	t.Helper()
	args := []string{command, "--key", pub, "--trusted-root", on.TrustedRoot(), "--allow-http-registry"}
	return cosignCommand(append(args, more...)...).Run(t)
}
