// SPDX-License-Identifier: Apache-2.0

package notation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/notation"
	"github.com/plombproject/plomb/verify/verifytest"
)

// FuzzVerify looks for envelopes that break a parser, and for ones that are
// accepted although nobody signed their target.
func FuzzVerify(f *testing.F) {
	n := verifytest.NewNotary(f)
	now := time.Now()
	o := options(n)
	o.TSAs, o.VerifyTimestamp = store{"tsa": n.TSA()}, "afterCertExpiry"
	for _, sign := range []verifytest.NotationOptions{
		{}, {Timestamp: n}, {SigningAuthority: true}, {Expiry: now.Add(time.Hour)},
		{SignedAt: now.AddDate(0, -1, 0), Timestamp: n},
		{Critical: map[string]any{"io.cncf.notary.verificationPlugin": "p"}},
	} {
		for _, sign.MediaType = range mediaTypes {
			f.Add(n.Notation(f, target, sign), sign.MediaType == verifytest.NotationCOSE)
		}
	}
	f.Add([]byte(`{"payload":"","protected":"","header":{"x5c":[""]},"signature":""}`), false)
	f.Add([]byte{0xd2, 0x84, 0x40, 0xa0, 0x40, 0x40}, true)
	v, err := notation.NewVerifier(o)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, envelope []byte, isCOSE bool) {
		mediaType := verifytest.NotationJWS
		if isCOSE {
			mediaType = verifytest.NotationCOSE
		}
		got, err := v.Verify(t.Context(), envelope, mediaType, now)
		if err != nil {
			require.Nil(t, got)
			return
		}
		require.Equal(t, target, got.Target, "only this was ever signed")
		require.Empty(t, got.Unenforced)
	})
}

// FuzzTimestamp looks for timestamp tokens that break a parser, or tell a time
// that no authority has told.
func FuzzTimestamp(f *testing.F) {
	n := verifytest.NewNotary(f)
	now := time.Now().Truncate(time.Second)
	envelope := n.Notation(f, target, verifytest.NotationOptions{SignedAt: now, Timestamp: n})
	f.Add(stampOf(f, envelope))
	f.Add([]byte{0x30, 0x80, 0x00, 0x00})
	o := options(n)
	o.TSAs = store{"tsa": n.TSA()}
	v, err := notation.NewVerifier(o)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, token []byte) {
		got, err := v.Verify(t.Context(), stampWith(t, envelope, token), verifytest.NotationJWS, now)
		if err == nil {
			require.Equal(t, now.UTC(), got.SignedAt)
		}
	})
}

// FuzzParseCertificates looks for files that break the reader of trust stores.
func FuzzParseCertificates(f *testing.F) {
	n := verifytest.NewNotary(f)
	f.Add([]byte(verifytest.PEM(append(n.CA(), n.TSA()...)...)))
	f.Add(n.CA()[0].Raw)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := notation.ParseCertificates(data)
		require.Equal(t, err != nil, len(certs) == 0)
	})
}
