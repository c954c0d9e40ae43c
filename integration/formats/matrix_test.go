// SPDX-License-Identifier: Apache-2.0

//go:build integration

package formats

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/decision"
)

// A place is where a signature can be.
type place struct {
	name string
	form form
	// put signs a copy of the unsigned image on that registry.
	put func(t *testing.T, m method, host string) image
	// where is how plomb calls the place, up to a digest.
	where func(i image) string
	// asked is the part of the image that cosign can be asked about; nil if it
	// does not know of the place.
	asked func(i image) digest.Digest
	// withAPI and without are how many requests an image takes that is asked for
	// by digest, on the two registries: its index and manifest, the places on the
	// way, then the manifest and the blob that hold the signature. Where the
	// index is not what was signed, the config says whether the platform is true;
	// in Docker's chain the statement says whether it is about the image.
	withAPI, without int
}

func places() []place {
	return []place{
		{
			name: "embedded", form: bundle, put: putEmbedded, withAPI: 3, without: 3,
			where: func(image) string { return "descriptor annotation " + provenance.BundleAnnotation },
		},
		{
			name: "referrer", form: bundle, put: putOnIndex, withAPI: 6, without: 7,
			where: func(image) string { return "referrer sha256:" }, asked: image.top,
		},
		{
			name: "legacy tag", form: legacy, put: putOnIndex, withAPI: 8, without: 10,
			where: func(i image) string { return "tag sha256-" + i.index.Encoded() + ".sig" }, asked: image.top,
		},
		{
			name: "legacy referrer", form: experimental, put: putOnIndex, withAPI: 6, without: 7,
			where: func(image) string { return "referrer sha256:" }, asked: image.top,
		},
		{
			name: "docker chain", form: bundle, put: putOnAttestations, withAPI: 15, without: 18,
			where: func(image) string { return "referrer sha256:" },
			asked: func(i image) digest.Digest { return i.attestation },
		},
	}
}

func putOnIndex(t *testing.T, m method, host string) image {
	t.Helper()
	i := clone(t, plain, host)
	sign(t, m, i.at(i.index))
	return i
}

func putOnAttestations(t *testing.T, m method, host string) image {
	t.Helper()
	i := clone(t, plain, host)
	sign(t, m, i.at(i.attestation))
	return i
}

func putEmbedded(t *testing.T, m method, host string) image {
	t.Helper()
	i := clone(t, plain, host)
	file := filepath.Join(t.TempDir(), "bundle.json")
	sign(t, m, i.at(i.manifest), "--upload=false", "--bundle", file)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return embed(t, i, data)
}

// A question is put to both tools in the same words.
type question struct {
	name          string
	plomb, cosign []string
	// Whether they are to say yes, and why plomb says no if it does.
	allow, accept bool
	code          string
}

// questions are what can be asked about an image that was signed by m.
func (m method) questions(t *testing.T) []question {
	t.Helper()
	noLog := []string{"--insecure-ignore-tlog"}
	timestamp := []string{"--insecure-ignore-tlog", "--use-signed-timestamps"}
	// In the old forms cosign takes a timestamp if there is one, and whoever
	// asks for timestamps does not get to know that there is none.
	lax := m.form != bundle || m.proof.stamp()
	if m.keyless {
		return []question{
			{"identity", byIdentity(), nil, m.proof.log(), m.proof.log(), "log-entry"},
			{"identity and timestamp", policy(t, keylessAuthority("trustRootRef: local").with(byTimestamp)), timestamp, m.proof.stamp(), lax, "timestamp"},
		}
	}
	key := keyAuthority(t, mine)
	return []question{
		{"key", byKey(mine), noLog, true, true, ""},
		{"key and log", policy(t, key.with("ctlog: {url: "+m.logURL()+"}\n")), nil, m.proof.log(), m.proof.log(), "log-entry"},
		{"key and timestamp", policy(t, key.with(byTimestamp)), timestamp, m.proof.stamp(), lax, "timestamp"},
	}
}

// TestMatrix has every way to sign in every place on both registries.
func TestMatrix(t *testing.T) {
	for _, p := range places() {
		for _, host := range []string{on.Registry, withAPI} {
			for _, keyless := range []bool{false, true} {
				for _, proof := range []proof{logged, stamped, both, none} {
					m := method{signer: mine, keyless: keyless, proof: proof, form: p.form}
					t.Run(strings.Join([]string{p.name, registryName(host), signerName(m), string(proof)}, "/"), func(t *testing.T) {
						t.Parallel()
						p.check(t, m, host)
					})
				}
			}
		}
	}
}

func registryName(host string) string {
	if host == withAPI {
		return "API"
	}
	return "no API"
}

func signerName(m method) string {
	if m.keyless {
		return "keyless"
	}
	return "key"
}

// check signs, asks both tools everything, and compares what they say with what
// they should.
func (p place) check(t *testing.T, m method, host string) {
	t.Helper()
	i := p.put(t, m, host)
	for _, q := range m.questions(t) {
		status := denied
		if q.allow {
			status = allowed
		}
		d := verified(t, status, i.at(i.top()), q.plomb...)
		if q.allow {
			require.Contains(t, found(d), p.where(i), q.name)
			require.Equal(t, p.requests(host), d.Requests, "%s: requests", q.name)
		} else {
			require.Equal(t, q.code, d.Code, d.Reason)
		}
		if p.asked == nil {
			require.False(t, cosignAccepts(t, "verify", m.by(), p.form, i.at(i.top()), q.cosign...), "cosign does not look there")
			continue
		}
		require.Equal(t, q.accept, cosignAccepts(t, "verify", m.by(), p.form, i.at(p.asked(i)), q.cosign...), "cosign, %s", q.name)
	}
}

func (p place) requests(host string) int {
	if host == withAPI {
		return p.withAPI
	}
	return p.without
}

// found is where the evidence was that the decision rests on.
func found(d *decision.Decision) string {
	var list []string
	for _, c := range d.Checks {
		if c.Outcome == decision.Pass && slices.Contains([]string{"binding", "trust"}, c.Step) {
			list = append(list, c.Object+" "+c.Detail)
		}
	}
	return fmt.Sprint(list)
}
