// SPDX-License-Identifier: Apache-2.0

//go:build integration

package formats

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
)

// byTimestamp asks for one by an authority of the TrustRoot document.
const byTimestamp = "rfc3161timestamp: {trustRootRef: local}\n"

// An image of plomb's own needs two requests, and other people's signatures on
// it are found behind its own.
func TestSealedImage(t *testing.T) {
	for _, host := range []string{on.Registry, withAPI} {
		t.Run(registryName(host), func(t *testing.T) {
			t.Parallel()
			i := clone(t, sealed, host)
			verified(t, allowed, i.tagged(), byIdentity()...)
			d := verified(t, allowed, i.at(i.index), byIdentity()...)
			require.Contains(t, found(d), "descriptor annotation ")
			require.Equal(t, 2, d.Requests)
			verified(t, allowed, i.tagged(), policy(t, keylessAuthority("trustRootRef: local").with(byTimestamp))...)
			verified(t, denied, i.tagged(), byKey(mine)...)

			for _, form := range []form{legacy, bundle} {
				sign(t, method{signer: mine, proof: both, form: form}, i.at(i.index))
				verified(t, allowed, i.tagged(), byKey(mine)...)
			}
			verified(t, denied, i.tagged(), byKey(theirs)...)
		})
	}
}

// plomb signs with a key as well, with which cosign then signs, too.
func TestSealedByKey(t *testing.T) {
	t.Parallel()
	ref, err := build(t.Context(), "keyed", sealedDockerfile(), "--build-context", "plomb="+on.Sigstore,
		"--secret", "id=plomb-key,src="+filepath.Join(work, mine+".key"), "--secret", "id=plomb-key-password,src="+harness.Secret(t, ""))
	require.NoError(t, err)
	for _, host := range []string{on.Registry, withAPI} {
		i := cloneTo(t, ref, tamper.Repository{Host: host, Name: "keyed/" + harness.Name(t)})
		d := verified(t, allowed, i.at(i.index), byKey(mine)...)
		require.Contains(t, found(d), "descriptor annotation ")
		require.Equal(t, 2, d.Requests)
		verified(t, allowed, i.tagged(), policy(t, keyAuthority(t, mine).with(byTimestamp))...)
		verified(t, allowed, i.tagged(), policy(t, keyAuthority(t, mine).with("ctlog: {url: http://rekor.localhost}\n"))...)
		verified(t, denied, i.tagged(), byKey(theirs)...)
		verified(t, denied, i.tagged(), byIdentity()...)
	}
}

// Signed with a timestamp alone, it has no log entry for who asks for one.
func TestSealedWithoutLog(t *testing.T) {
	t.Parallel()
	dir := harness.Dir(t)
	for name, from := range map[string]string{"signing_config.json": signingConfig(stamped), "trusted_root.json": on.TrustedRoot()} {
		data, err := os.ReadFile(from)
		require.NoError(t, err)
		harness.Write(t, dir, name, string(data))
	}
	ref, err := buildSealed(t.Context(), "stamped", dir)
	require.NoError(t, err)
	verified(t, denied, ref, byIdentity()...)
	verified(t, allowed, ref, policy(t, keylessAuthority("trustRootRef: local").with(byTimestamp))...)
}

// Behind cosign's signature on the attestation manifest of an image of plomb's
// the chain holds as well.
func TestSealedAndChained(t *testing.T) {
	t.Parallel()
	i := clone(t, sealed, withAPI)
	require.NotEmpty(t, i.attestation, "the SBOM is there")
	verified(t, denied, i.tagged(), byKey(mine)...)
	sign(t, method{signer: mine, proof: both, form: bundle}, i.at(i.attestation))
	verified(t, allowed, i.tagged(), byKey(mine)...)
}
