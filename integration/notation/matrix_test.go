// SPDX-License-Identifier: Apache-2.0

//go:build integration

package notation

import (
	"crypto"
	"crypto/elliptic"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
)

// A place is where notation leaves a signature.
type place struct {
	name string
	host func() string
	// untag takes the fallback tag away. notation writes it even where there is
	// the API, unless it is told not to and the registry answers with the header
	// OCI-Subject, which go-containerregistry's does not.
	untag bool
	// requests is how many an image takes that is asked for by digest: the
	// index and its manifest, one for the list of referrers or two where there is
	// no API, and the manifest and the blob of the signature.
	requests int
}

func places() []place {
	none, api := func() string { return on.Registry }, func() string { return withAPI }
	return []place{
		{name: "no API", host: none, requests: 6},
		{name: "API", host: api, untag: true, requests: 5},
		{name: "API and tag", host: api, requests: 5},
	}
}

// TestMatrix has every kind of key sign in every form in every place.
func TestMatrix(t *testing.T) {
	acme := newAuthority(t, "Acme Root")
	below := acme.certify(t, "Acme Signing")
	keys := map[string]crypto.Signer{
		"RSA-2048": rsaKey(t, 2048), "RSA-3072": rsaKey(t, 3072),
		"EC-256": ecKey(t, elliptic.P256()), "EC-384": ecKey(t, elliptic.P384()),
	}
	for name, key := range keys {
		signer := below.issue(t, name, key)
		for _, p := range places() {
			for _, format := range []string{"jws", "cose"} {
				for _, stamped := range []bool{false, true} {
					t.Run(strings.Join([]string{name, format, stamps(stamped), p.name}, "/"), func(t *testing.T) {
						t.Parallel()
						p.check(t, acme, signer, format, stamped)
					})
				}
			}
		}
	}
}

func stamps(stamped bool) string {
	if stamped {
		return "timestamp"
	}
	return "no timestamp"
}

func (p place) check(t *testing.T, acme *authority, s *signer, format string, stamped bool) {
	t.Helper()
	n, i, question := newNotary(t), push(t, p.host()), strict()
	n.store(t, "ca", "acme", acme.cert())
	flags := []string{"--signature-format", format}
	if stamped {
		flags = append(flags, n.stamped(t)...)
		n.store(t, "tsa", "stand", stampRoot(t))
		question = strict("tsa:stand")
	}
	n.sign(t, s, i.ref(), flags...)
	if p.untag {
		i.untag(t)
	}

	d, plomb, notation := n.ask(t, question, i.ref())
	require.Equal(t, allowed, plomb, d.Reason)
	require.True(t, notation)
	require.Equal(t, p.requests, d.Requests, "requests")
	found := signerOf(t, d)
	require.Equal(t, distinguishedName(s.chain[0].Subject.CommonName), found.X509)
	require.Equal(t, "index", found.Scope)
	require.Equal(t, stamped, found.SignedAt != nil, "a time that somebody vouches for")
	if stamped {
		require.WithinDuration(t, time.Now(), *found.SignedAt, time.Minute)
	}
}

// signerOf is the only signer of the only manifest.
func signerOf(t *testing.T, d *decision.Decision) decision.Signer {
	t.Helper()
	require.Len(t, d.Manifests, 1)
	require.Len(t, d.Manifests[0].Signers, 1)
	s := d.Manifests[0].Signers[0]
	require.Equal(t, "notation", s.Format)
	require.Equal(t, "signature", s.Kind)
	require.Regexp(t, `^referrer sha256:[0-9a-f]{64}`, s.Where)
	require.Empty(t, s.Issuer+s.Subject+s.Key.String())
	return s
}
