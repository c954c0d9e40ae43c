// SPDX-License-Identifier: Apache-2.0

//go:build integration

package formats

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
)

// cosign takes any attestation for a signature where both are bundles: who
// scanned the image has approved it. For plomb a scan approves nothing.
func TestScanIsNoApproval(t *testing.T) {
	for _, c := range []struct {
		kind           string
		form           form
		status         int
		cosignApproves bool
	}{
		{"vuln", bundle, denied, true},
		{"spdxjson", bundle, denied, true},
		{"custom", bundle, denied, true},
		{"vuln", legacy, denied, false},
		// Who signs provenance says that he built the image. The old form has a
		// place of its own for signatures, and this is not it.
		{"slsaprovenance1", bundle, allowed, true},
		{"slsaprovenance1", legacy, denied, false},
	} {
		t.Run(c.kind+"/"+string(c.form), func(t *testing.T) {
			t.Parallel()
			m := method{signer: mine, proof: both, form: c.form}
			i := clone(t, plain, on.Registry)
			attest(t, m, i.at(i.index), c.kind)
			verified(t, c.status, i.tagged(), byKey(mine)...)
			require.Equal(t, c.cosignApproves, cosignAccepts(t, "verify", byKey(mine), c.form, i.at(i.index)), "cosign")
		})
	}
}

// A certificate lives for minutes, so without a trusted time a signature could
// have been made at any later one. cosign, told to do without the log, goes by
// its own clock.
func TestCertificateWithoutTime(t *testing.T) {
	for _, form := range []form{bundle, legacy, experimental} {
		t.Run(string(form), func(t *testing.T) {
			t.Parallel()
			m := method{signer: mine, keyless: true, proof: none, form: form}
			i := putOnIndex(t, m, on.Registry)
			verified(t, denied, i.tagged(), byIdentity()...)
			require.False(t, cosignAccepts(t, "verify", byIdentity(), form, i.at(i.index)))
			require.True(t, cosignAccepts(t, "verify", byIdentity(), form, i.at(i.index), "--insecure-ignore-tlog"))
		})
	}
}

// Rekor v2 vouches for no time, so nobody knows whether its key was in force:
// without a timestamp its entry is no proof. cosign takes the entry.
func TestNewLogAlone(t *testing.T) {
	t.Parallel()
	i := clone(t, plain, on.Registry)
	sign(t, method{signer: mine, proof: loggedV2, form: bundle}, i.at(i.index))
	verified(t, allowed, i.tagged(), byKey(mine)...)
	verified(t, denied, i.tagged(), policy(t, keyAuthority(t, mine).with("ctlog: {url: http://rekor.localhost}\n"))...)
	require.True(t, cosignAccepts(t, "verify", byKey(mine), bundle, i.at(i.index)))
}

// The signature may be on the platform's manifest inside an index, or there is
// no index.
func TestSignedManifest(t *testing.T) {
	for _, form := range []form{bundle, legacy, experimental} {
		for _, host := range []string{on.Registry, withAPI} {
			t.Run(string(form)+"/"+registryName(host), func(t *testing.T) {
				t.Parallel()
				m := method{signer: mine, keyless: true, proof: both, form: form}
				inIndex := clone(t, plain, host)
				sign(t, m, inIndex.at(inIndex.manifest))
				verified(t, allowed, inIndex.tagged(), byIdentity()...)
				require.False(t, cosignAccepts(t, "verify", byIdentity(), form, inIndex.tagged()), "cosign looks at what the tag names")

				alone := bareIn(t, plain, tamper.Repository{Host: host, Name: "alone/" + harness.Name(t)})
				sign(t, m, alone.tagged())
				verified(t, allowed, alone.tagged(), byIdentity()...)
				require.True(t, cosignAccepts(t, "verify", byIdentity(), form, alone.tagged()))
			})
		}
	}
}
