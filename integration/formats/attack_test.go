// SPDX-License-Identifier: Apache-2.0

//go:build integration

package formats

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
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

// refused demands that both tools say no, and plomb for that reason.
func refused(t *testing.T, code string, p place, m method, i image) {
	t.Helper()
	d := verified(t, denied, i.tagged(), m.by()...)
	require.Equal(t, code, d.Code, d.Reason)
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
		code := "signature"
		if m.keyless {
			code = "identity"
		}
		refused(t, code, p, m, p.put(t, m, host))
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
		refused(t, "subject", p, m, victim)
	})
}

// Nor does an attestation about another image, in either form.
func TestAttestationOfAnotherImage(t *testing.T) {
	for _, form := range []form{bundle, legacy} {
		for _, host := range []string{on.Registry, withAPI} {
			t.Run(string(form)+"/"+registryName(host), func(t *testing.T) {
				t.Parallel()
				m := method{signer: mine, proof: both, form: form}
				scanned := clone(t, plain, host)
				attest(t, m, scanned.at(scanned.index), "vuln")
				victim := cloneTo(t, other, tamper.Repository{Host: host, Name: "victim/" + harness.Name(t)})
				if form == legacy {
					moveTag(t, scanned, victim, ".att", ".att")
				} else {
					moveReferrers(t, scanned, scanned.index, victim, victim.index, true)
				}
				scan := policy(t, attestationPolicy(keyAuthority(t, mine), "vuln", "", ""))
				verified(t, allowed, scanned.tagged(), scan...)
				require.Equal(t, "subject", verified(t, denied, victim.tagged(), scan...).Code)
				require.False(t, cosignAccepts(t, "verify-attestation", byKey(mine), form, victim.at(victim.index), "--type", "vuln"))
			})
		}
	}
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
			refused(t, "foreign-referrer", place{form: form, asked: image.top}, m, victim)
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
				refused(t, "unsigned", p, m, victim)
				verified(t, allowed, signed.at(signed.top()), m.by()...)
			})
		}
	}
}

// A signed attestation manifest can be listed beside any image. Its statements
// say which one they are about.
func TestSignedAttestationsOfAnotherImage(t *testing.T) {
	for _, host := range []string{on.Registry, withAPI} {
		for _, keyless := range []bool{false, true} {
			m := method{signer: mine, keyless: keyless, proof: both, form: bundle}
			t.Run(registryName(host)+"/"+signerName(m), func(t *testing.T) {
				t.Parallel()
				signed := putOnAttestations(t, m, host)
				victim := cloneTo(t, other, signed.repo)
				require.NoError(t, victim.repo.Index(t.Context(), "v1", "v1", func(idx *ocispecs.Index) error {
					for i, d := range idx.Manifests {
						if d.Annotations[dockerReference] == victim.manifest.String() {
							idx.Manifests[i].Digest = signed.attestation
						}
					}
					return nil
				}))
				require.NotNil(t, dissect.Pull(t, victim.tagged()).Attestation(t))
				require.Equal(t, "subject", verified(t, denied, victim.tagged(), m.by()...).Code)
				// cosign knows of no image here, only of what was signed.
				require.True(t, cosignAccepts(t, "verify", m.by(), bundle, victim.at(signed.attestation)))
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
	refused(t, "unsigned", place{form: legacy, asked: image.top}, m, victim)

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
	d := verified(t, denied, i.tagged(), append(m.by(), "--trusted-root", foreignRoot(t))...)
	require.Equal(t, "log-entry", d.Code, d.Reason)
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
