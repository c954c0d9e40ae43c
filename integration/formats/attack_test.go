// SPDX-License-Identifier: Apache-2.0

//go:build integration

package formats

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
)

// everywhere runs an attack for each place, registry and kind of signer.
func everywhere(t *testing.T, attack func(t *testing.T, p place, m method, host string)) {
	t.Helper()
	for _, p := range places() {
		for _, host := range []string{on.Registry, withAPI} {
			for _, keyless := range []bool{false, true} {
				m := method{signer: mine, keyless: keyless, proof: both, form: p.form}
				t.Run(p.name+"/"+registryName(host)+"/"+signerName(m), func(t *testing.T) {
					t.Parallel()
					attack(t, p, m, host)
				})
			}
		}
	}
}

// refused demands that both tools say no.
func refused(t *testing.T, p place, m method, i image) {
	t.Helper()
	verified(t, denied, i.tagged(), m.by()...)
	ref := i.at(i.top())
	if p.asked != nil {
		ref = i.at(p.asked(i))
	}
	require.False(t, cosignAccepts(t, "verify", m.by(), p.form, ref), "cosign")
}

// A signature by another key or another identity is none.
func TestSignedBySomebodyElse(t *testing.T) {
	everywhere(t, func(t *testing.T, p place, m method, host string) {
		m.signer = theirs
		refused(t, p, m, p.put(t, m, host))
	})
}

// Nothing that speaks of another image counts, wherever it was put.
func TestSignatureOfAnotherImage(t *testing.T) {
	everywhere(t, func(t *testing.T, p place, m method, host string) {
		signed := p.put(t, m, host)
		verified(t, allowed, signed.tagged(), m.by()...)
		victim := cloneTo(t, other, tamper.Repository{Host: host, Name: "victim/" + harness.Name(t)})
		switch p.name {
		case "embedded":
			victim = embed(t, victim, dissect.Pull(t, signed.tagged()).Bundle.Raw)
		case "legacy tag":
			moveTag(t, signed, victim, ".sig", ".sig")
		case "docker chain":
			moveReferrers(t, signed, signed.attestation, victim, victim.attestation, true)
		default:
			moveReferrers(t, signed, signed.index, victim, victim.index, true)
		}
		refused(t, p, m, victim)
	})
}

// A fallback tag can list anything: what does not refer to the image itself is
// not about it.
func TestFallbackTagWithForeignManifests(t *testing.T) {
	for _, form := range []form{bundle, experimental} {
		t.Run(string(form), func(t *testing.T) {
			t.Parallel()
			m := method{signer: mine, proof: both, form: form}
			signed := putOnIndex(t, m, on.Registry)
			victim := cloneTo(t, other, tamper.Repository{Host: on.Registry, Name: signed.repo.Name})
			// The list is taken over as it is, and nothing in it is changed.
			moveReferrers(t, signed, signed.index, victim, victim.index, false)
			require.Len(t, referrers(t, victim, victim.index), 1)
			refused(t, place{form: form, asked: image.top}, m, victim)
		})
	}
}

// The tag of the image now names another one in the same repository, in which
// all the signatures of the first still are.
func TestTagMovedToAnotherImage(t *testing.T) {
	for _, p := range places() {
		for _, host := range []string{on.Registry, withAPI} {
			t.Run(p.name+"/"+registryName(host), func(t *testing.T) {
				t.Parallel()
				m := method{signer: mine, proof: both, form: p.form}
				signed := p.put(t, m, host)
				victim := cloneTo(t, other, signed.repo)
				require.NotEqual(t, signed.top(), victim.top())
				refused(t, p, m, victim)
				verified(t, allowed, signed.at(signed.top()), m.by()...)
			})
		}
	}
}

// What cosign keeps under `.sbom` was signed by nobody: not even a signature
// counts there.
func TestSignatureUnderTheTagOfAnSBOM(t *testing.T) {
	t.Parallel()
	m := method{signer: mine, proof: none, form: legacy}
	signed := putOnIndex(t, m, on.Registry)
	victim := cloneTo(t, plain, tamper.Repository{Host: on.Registry, Name: "victim/" + harness.Name(t)})
	require.Equal(t, signed.index, victim.index)
	moveTag(t, signed, victim, ".sig", ".sbom")
	refused(t, place{form: legacy, asked: image.top}, m, victim)

	// It is a good signature in itself, and one of this very image.
	moveTag(t, signed, victim, ".sig", ".sig")
	verified(t, allowed, victim.tagged(), m.by()...)
}

// The root of another instance vouches for nobody here.
func TestAnotherTrustedRoot(t *testing.T) {
	t.Parallel()
	m := method{signer: mine, keyless: true, proof: both, form: bundle}
	i := putOnIndex(t, m, on.Registry)
	verified(t, allowed, i.tagged(), m.by()...)
	verified(t, denied, i.tagged(), append(m.by(), "--trusted-root", foreignRoot(t))...)
}

// foreignRoot is the trusted root of another instance, which lived just long
// enough to make it.
func foreignRoot(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(harness.Dir(t), "sigstore")
	root := filepath.Join(dir, "trusted_root.json")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan harness.Printout, 1)
	go func() {
		ended <- harness.Command{On: on, Name: "sigstore", Args: []string{"serve", "--dir", dir}}.Do(ctx)
	}()
	require.Eventually(t, func() bool {
		_, err := os.Stat(root)
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
	stop()
	<-ended
	return root
}
