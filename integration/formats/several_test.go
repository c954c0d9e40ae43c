// SPDX-License-Identifier: Apache-2.0

//go:build integration

package formats

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
)

// Of several signatures one that counts is enough, however many do not. Of
// several referrers of its experimental form cosign reads the one that is listed
// last, which may be any.
func TestSeveralSignatures(t *testing.T) {
	for _, form := range []form{bundle, legacy, experimental} {
		t.Run(string(form), func(t *testing.T) {
			t.Parallel()
			i := clone(t, plain, on.Registry)
			for _, signer := range []string{theirs, theirs, mine, theirs} {
				sign(t, method{signer: signer, proof: both, form: form}, i.at(i.index))
			}
			verified(t, allowed, i.tagged(), byKey(mine)...)
			if form != experimental {
				require.True(t, cosignAccepts(t, "verify", byKey(mine), form, i.at(i.index)))
			}
		})
	}
}

// Keys are rotated: a list of keys means any of them.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	i := clone(t, plain, withAPI)
	sign(t, method{signer: mine, proof: both, form: bundle}, i.at(i.index))
	var list []byte
	for _, signer := range []string{theirs, mine} {
		data, err := os.ReadFile(byKey(signer)[1])
		require.NoError(t, err)
		list = append(list, data...)
	}
	verified(t, allowed, i.tagged(), policy(t, authority("key:\n  data: |\n"+indent(string(list), 4)))...)
	verified(t, allowed, i.tagged(), "--key", harness.Secret(t, string(list)))
	verified(t, denied, i.tagged(), byKey(theirs)...)
}

// A log is asked for by its URL, and an entry of another one does not do.
func TestLogOfAnotherName(t *testing.T) {
	for _, m := range []method{{signer: mine, proof: both, form: bundle}, {signer: mine, proof: both, form: legacy}} {
		t.Run(string(m.form), func(t *testing.T) {
			t.Parallel()
			i := putOnIndex(t, m, on.Registry)
			ask := func(status int, url string) {
				t.Helper()
				verified(t, status, i.tagged(), policy(t, keyAuthority(t, mine).with("ctlog: {url: "+url+"}\n"))...)
			}
			ask(allowed, m.logURL())
			for _, url := range []string{"http://rekor.localhost", "http://rekor-v1.localhost"} {
				if url != m.logURL() {
					ask(denied, url)
				}
			}
			// Nobody can say whether it is in a log of which nothing is known.
			ask(undecided, "https://rekor.example")
		})
	}
}

// An image keeps its signatures when they are copied along, to a registry of
// the other kind.
func TestCopyKeepsTheSignature(t *testing.T) {
	for from, to := range map[string]string{on.Registry: withAPI, withAPI: on.Registry} {
		t.Run("from "+registryName(from), func(t *testing.T) {
			t.Parallel()
			signed := putOnIndex(t, method{signer: mine, keyless: true, proof: both, form: bundle}, from)
			copied := cloneTo(t, plain, tamper.Repository{Host: to, Name: "copy/" + harness.Name(t)})
			verified(t, denied, copied.tagged(), byIdentity()...)
			moveReferrers(t, signed, signed.index, copied, copied.index, false)
			verified(t, allowed, copied.tagged(), byIdentity()...)
			require.True(t, cosignAccepts(t, "verify", byIdentity(), bundle, copied.at(copied.index)))
		})
	}
}

// The evidence may be kept in another repository, as cosign's COSIGN_REPOSITORY
// has it.
func TestSignatureInAnotherRepository(t *testing.T) {
	for _, form := range []form{legacy, bundle} {
		t.Run(string(form), func(t *testing.T) {
			t.Parallel()
			i := clone(t, plain, on.Registry)
			store := on.Registry + "/signatures/" + harness.Name(t)
			m := method{signer: mine, proof: both, form: form}
			command := cosignCommand(append(append([]string{"sign"}, m.args(t)...), i.at(i.index))...)
			command.Env = append(command.Env, "COSIGN_REPOSITORY="+store)
			p := command.Run(t)
			require.NoError(t, p.Err, p.All)
			verified(t, denied, i.tagged(), byKey(mine)...)
			verified(t, allowed, i.tagged(), policy(t, keyAuthority(t, mine).with("source:\n- oci: "+store+"\n"))...)
			verified(t, denied, i.tagged(), policy(t, keyAuthority(t, mine).with("source:\n- oci: "+store+"/empty\n"))...)
		})
	}
}
