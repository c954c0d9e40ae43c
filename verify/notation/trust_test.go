// SPDX-License-Identifier: Apache-2.0

package notation_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/notation"
	"github.com/plombproject/plomb/verify/verifytest"
)

// A timestamp proves that the certificate was valid when it signed.
func TestTimestampOutlivesTheCertificate(t *testing.T) {
	n := verifytest.NewNotary(t)
	now := time.Now().Truncate(time.Second)
	then := now.AddDate(-2, 0, 0)
	for _, mediaType := range mediaTypes {
		for _, mode := range []string{"", "always", "afterCertExpiry"} {
			o := options(n)
			o.VerifyTimestamp, o.TSAs = mode, store{"tsa": n.TSA()}
			envelope := n.Notation(t, target, verifytest.NotationOptions{MediaType: mediaType, SignedAt: then, Timestamp: n})
			got, err := verify(t, o, envelope, mediaType, now)
			require.NoError(t, err)
			require.Equal(t, then.UTC(), got.SignedAt)
			require.NoError(t, upstream(t, o, envelope, mediaType))
		}
	}
}

func TestTimestampIsOptionalUntilTheCertificateExpires(t *testing.T) {
	n, other := verifytest.NewNotary(t), verifytest.NewNotary(t)
	now := time.Now().Truncate(time.Second)
	o := options(n)
	o.VerifyTimestamp, o.TSAs = "afterCertExpiry", store{"tsa": n.TSA()}
	for name, c := range map[string]struct {
		stamp *verifytest.Notary
		want  time.Time
	}{
		"none":      {},
		"good":      {stamp: n, want: now.UTC()},
		"untrusted": {stamp: other},
	} {
		t.Run(name, func(t *testing.T) {
			envelope := n.Notation(t, target, verifytest.NotationOptions{SignedAt: now, Timestamp: c.stamp})
			got, err := verify(t, o, envelope, verifytest.NotationJWS, now)
			require.NoError(t, err)
			require.Equal(t, c.want, got.SignedAt, "only a timestamp that was verified tells a time")
			require.NoError(t, upstream(t, o, envelope, verifytest.NotationJWS))
		})
	}
}

// The clock is the caller's: what was right then is right when it is replayed.
func TestReplay(t *testing.T) {
	n := verifytest.NewNotary(t)
	then := time.Now().AddDate(-1, 0, 0)
	envelope := n.Notation(t, target, verifytest.NotationOptions{SignedAt: then, Expiry: then.Add(30 * time.Minute)})
	for _, c := range []struct {
		now  time.Time
		want error
	}{
		{then, nil},
		{then.Add(29 * time.Minute), nil},
		{then.Add(31 * time.Minute), notation.ErrExpired},
		{then.Add(-time.Hour), notation.ErrValidity},
	} {
		_, err := verify(t, options(n), envelope, verifytest.NotationJWS, c.now)
		require.ErrorIs(t, err, c.want)
	}
}

// A level that does not enforce a check reports it, and says nothing that only
// the check could have proved.
func TestLevels(t *testing.T) {
	n, other := verifytest.NewNotary(t), verifytest.NewNotary(t)
	now := time.Now().Truncate(time.Second)
	known := claim.Signer{X509: "CN=release,O=plomb,ST=WA,C=US", TrustStore: "ca:acme", Serial: "2a"}
	type want struct {
		err        error
		unenforced []error
		signer     claim.Signer
	}
	for name, c := range map[string]struct {
		by    *verifytest.Notary
		sign  verifytest.NotationOptions
		tsas  store
		wants map[string]want
	}{
		"good": {by: n, wants: map[string]want{"strict": {signer: known}, "permissive": {signer: known}, "audit": {signer: known}}},
		"expired certificate": {by: n, sign: verifytest.NotationOptions{SignedAt: now.AddDate(0, -1, 0)}, wants: map[string]want{
			"strict":     {err: notation.ErrValidity},
			"permissive": {unenforced: []error{notation.ErrValidity}, signer: known},
			"audit":      {unenforced: []error{notation.ErrValidity}, signer: known},
		}},
		"all that can be forgiven": {by: n, sign: verifytest.NotationOptions{SignedAt: now.Add(-5 * time.Minute), Expiry: now.Add(-time.Minute), CRL: deadEnd}, tsas: store{"tsa": n.TSA()}, wants: map[string]want{
			"strict":     {err: notation.ErrExpired},
			"permissive": {unenforced: []error{notation.ErrExpired, notation.ErrTimestamp, notation.ErrRevocation}, signer: known},
			"audit":      {unenforced: []error{notation.ErrExpired, notation.ErrTimestamp, notation.ErrRevocation}, signer: known},
		}},
		"untrusted": {by: other, wants: map[string]want{
			"strict":     {err: notation.ErrUntrusted},
			"permissive": {err: notation.ErrUntrusted},
			"audit":      {unenforced: []error{notation.ErrUntrusted}},
		}},
		"untrusted signing authority": {by: other, sign: verifytest.NotationOptions{SigningAuthority: true}, wants: map[string]want{
			"audit": {unenforced: []error{notation.ErrUntrusted}},
		}},
		"other identity": {by: n, sign: verifytest.NotationOptions{Subject: pkix.Name{CommonName: "x"}}, wants: map[string]want{
			"strict": {err: notation.ErrIdentity}, "permissive": {err: notation.ErrIdentity}, "audit": {unenforced: []error{notation.ErrIdentity}},
		}},
		"plugin": {by: n, sign: verifytest.NotationOptions{Critical: map[string]any{"io.cncf.notary.verificationPlugin": "p"}}, wants: map[string]want{
			"strict": {err: notation.ErrPlugin}, "permissive": {err: notation.ErrPlugin}, "audit": {err: notation.ErrPlugin},
		}},
	} {
		for level, w := range c.wants {
			t.Run(name+"/"+level, func(t *testing.T) {
				c.sign.Serial = big.NewInt(42)
				envelope := c.by.Notation(t, target, c.sign)
				o := options(n)
				o.Level, o.TSAs = level, c.tsas
				got, err := verify(t, o, envelope, verifytest.NotationJWS, now)
				require.ErrorIs(t, err, w.err)
				require.Equal(t, w.err == nil, upstream(t, o, envelope, verifytest.NotationJWS) == nil, "notation-go's own verdict")
				if w.err != nil {
					return
				}
				require.Len(t, got.Unenforced, len(w.unenforced))
				for i, e := range w.unenforced {
					require.ErrorIs(t, got.Unenforced[i], e)
				}
				require.Equal(t, w.signer, got.Signer)
				require.Zero(t, got.SignedAt)
				require.Equal(t, target, got.Target)
			})
		}
	}
}

func TestTrustedIdentities(t *testing.T) {
	n := verifytest.NewNotary(t)
	envelope := n.Notation(t, target, verifytest.NotationOptions{
		Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"a, b"}, OrganizationalUnit: []string{"u"}, CommonName: "release"},
	})
	for _, c := range []struct {
		identities []string
		want       error
	}{
		{[]string{"*"}, nil},
		{[]string{`x509.subject: C=US, ST=WA, O=a\, b`}, nil},
		{[]string{`x509.subject:CN=release,OU=u,O=a\, b,S=WA,C=US`}, nil},
		{[]string{`x509.subject: C=DE, ST=BY, O=x`, `x509.subject: C=US, ST=WA, O=a\, b`}, nil},
		{[]string{`x509.subject: C=US, ST=WA, O=a`}, notation.ErrIdentity},
		{[]string{`x509.subject: C=US, ST=WA, O=a\, b, L=Seattle`}, notation.ErrIdentity},
		{[]string{`x509.subject: C=us, ST=WA, O=a\, b`}, notation.ErrIdentity},
	} {
		o := options(n)
		o.TrustedIdentities = c.identities
		_, err := verify(t, o, envelope, verifytest.NotationJWS, time.Now())
		require.ErrorIs(t, err, c.want, c.identities)
		require.Equal(t, c.want == nil, upstream(t, o, envelope, verifytest.NotationJWS) == nil, c.identities)
	}
}

func TestRevocationLists(t *testing.T) {
	n, other := verifytest.NewNotary(t), verifytest.NewNotary(t)
	now := time.Now()
	serial := big.NewInt(42)
	good := n.CRL(t, now.Add(-time.Minute), big.NewInt(7))
	partial := n.CRL(t, now.Add(-time.Minute))
	partial.Extensions = append(partial.Extensions, pkix.Extension{Id: []int{2, 5, 29, 28}, Critical: true})
	for name, c := range map[string]struct {
		crl   string
		lists []*x509.RevocationList
		want  error
	}{
		"no address, no list":         {},
		"no address, not on the list": {lists: []*x509.RevocationList{good}},
		"no address, on the list":     {lists: []*x509.RevocationList{n.CRL(t, now, serial)}, want: notation.ErrRevoked},
		"no list":                     {crl: deadEnd, want: notation.ErrRevocation},
		"not on the list":             {crl: deadEnd, lists: []*x509.RevocationList{good}},
		"on one of the lists":         {crl: deadEnd, lists: []*x509.RevocationList{good, n.CRL(t, now, serial)}, want: notation.ErrRevoked},
		"on an old list":              {crl: deadEnd, lists: []*x509.RevocationList{n.CRL(t, now.AddDate(0, -1, 0), serial)}, want: notation.ErrRevoked},
		"not on an old list":          {crl: deadEnd, lists: []*x509.RevocationList{n.CRL(t, now.AddDate(0, -1, 0))}, want: notation.ErrRevocation},
		"not on a list of tomorrow":   {crl: deadEnd, lists: []*x509.RevocationList{n.CRL(t, now.AddDate(0, 0, 1))}, want: notation.ErrRevocation},
		"not on a partial list":       {crl: deadEnd, lists: []*x509.RevocationList{partial}, want: notation.ErrRevocation},
		// The names of both authorities are the same, their keys are not.
		"not on another's list": {crl: deadEnd, lists: []*x509.RevocationList{other.CRL(t, now.Add(-time.Minute))}, want: notation.ErrRevocation},
		"on another's list":     {lists: []*x509.RevocationList{other.CRL(t, now, serial)}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(n)
			o.CRLs = c.lists
			envelope := n.Notation(t, target, verifytest.NotationOptions{CRL: c.crl, Serial: serial})
			_, err := verify(t, o, envelope, verifytest.NotationJWS, now)
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestRevokedTimestampAuthority(t *testing.T) {
	n := verifytest.NewNotary(t)
	o := options(n)
	o.TSAs, o.CRLs = store{"tsa": n.TSA()}, []*x509.RevocationList{n.RevokedTSA(t, time.Now())}
	envelope := n.Notation(t, target, verifytest.NotationOptions{Timestamp: n})
	_, err := verify(t, o, envelope, verifytest.NotationJWS, time.Now())
	require.ErrorIs(t, err, notation.ErrRevoked)
	require.ErrorContains(t, err, "timestamp authority")
}

// A stranger learns who is wanted, and so does the one who reads the log.
func TestWantedIsNamed(t *testing.T) {
	n := verifytest.NewNotary(t)
	o := options(n)
	o.TrustedIdentities = nil
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		o.TrustedIdentities = append(o.TrustedIdentities, "x509.subject: C=US, ST=WA, O="+name)
	}
	require.NoError(t, notation.CheckIdentities(o.TrustedIdentities))
	envelope := n.Notation(t, target, verifytest.NotationOptions{})
	_, err := verify(t, o, envelope, verifytest.NotationJWS, time.Now())
	require.ErrorIs(t, err, notation.ErrIdentity)
	require.ErrorContains(t, err, `"CN=release,O=plomb,ST=WA,C=US", wanted "C=US, ST=WA, O=a" or "C=US, ST=WA, O=b" or "C=US, ST=WA, O=c" or one of 2 more`)
	o.TrustedIdentities = o.TrustedIdentities[:1]
	_, err = verify(t, o, envelope, verifytest.NotationJWS, time.Now())
	require.ErrorContains(t, err, `wanted "C=US, ST=WA, O=a"`)
}

func TestOptions(t *testing.T) {
	n := verifytest.NewNotary(t)
	leaf := chainOf(t, n.Notation(t, target, verifytest.NotationOptions{}))[0]
	for name, c := range map[string]struct {
		change func(*notation.Options)
		want   error
		says   string
	}{
		"skip":              {func(o *notation.Options) { o.Level = "skip" }, notation.ErrOptions, "static pass"},
		"level":             {func(o *notation.Options) { o.Level = "lenient" }, notation.ErrOptions, "lenient"},
		"verifyTimestamp":   {func(o *notation.Options) { o.VerifyTimestamp = "never" }, notation.ErrOptions, "never"},
		"no stores":         {func(o *notation.Options) { o.CAs, o.SigningAuthorities = nil, nil }, notation.ErrOptions, "no trust store"},
		"only tsa":          {func(o *notation.Options) { o.CAs, o.SigningAuthorities, o.TSAs = nil, nil, store{"tsa": n.TSA()} }, notation.ErrOptions, "no trust store"},
		"empty store":       {func(o *notation.Options) { o.CAs = store{"acme": nil} }, notation.ErrStore, "ca:acme"},
		"leaf as authority": {func(o *notation.Options) { o.CAs = store{"acme": {leaf}} }, notation.ErrStore, "neither"},
		"intermediate as tsa": {func(o *notation.Options) {
			o.TSAs = store{"tsa": {chainOf(t, n.Notation(t, target, verifytest.NotationOptions{}))[1]}}
		}, notation.ErrStore, "root"},
		"no identities":         {func(o *notation.Options) { o.TrustedIdentities = nil }, notation.ErrOptions, "no trusted identities"},
		"star and more":         {func(o *notation.Options) { o.TrustedIdentities = []string{"*", release} }, notation.ErrOptions, "only one"},
		"identity of a plugin":  {func(o *notation.Options) { o.TrustedIdentities = []string{"email:a@b"} }, notation.ErrOptions, "plugins"},
		"no country":            {func(o *notation.Options) { o.TrustedIdentities = []string{"x509.subject: ST=WA, O=plomb"} }, notation.ErrOptions, "no C"},
		"value left out":        {func(o *notation.Options) { o.TrustedIdentities = []string{release + ", OU="} }, notation.ErrOptions, "without a value"},
		"attribute twice":       {func(o *notation.Options) { o.TrustedIdentities = []string{release + ", O=x"} }, notation.ErrOptions, "twice"},
		"hexadecimal":           {func(o *notation.Options) { o.TrustedIdentities = []string{release + ", 1.2.3=#0401"} }, notation.ErrOptions, "hexadecimal"},
		"several values":        {func(o *notation.Options) { o.TrustedIdentities = []string{"x509.subject: C=US+O=plomb, ST=WA"} }, notation.ErrOptions, "several"},
		"no distinguished name": {func(o *notation.Options) { o.TrustedIdentities = []string{"x509.subject: release"} }, notation.ErrOptions, "no distinguished name"},
		"overlapping": {func(o *notation.Options) {
			o.TrustedIdentities = []string{release, "x509.subject: C=US, ST=WA, O=plomb"}
		}, notation.ErrOptions, "overlaps"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(n)
			c.change(&o)
			_, err := notation.NewVerifier(o)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.says)
			if checked := notation.CheckIdentities(o.TrustedIdentities); checked != nil {
				require.Equal(t, err, checked)
			}
		})
	}
}
