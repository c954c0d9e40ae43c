// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

func pemOf(kind string, ders ...[]byte) []byte {
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	return out
}

// parts takes a trusted root apart, into what a TrustRoot document would have.
func parts(t testing.TB, s *verifytest.Sigstore) trust.Parts {
	t.Helper()
	var m prototrustroot.TrustedRoot
	require.NoError(t, protojson.Unmarshal(s.TrustedRoot(t, verifytest.RootOptions{}), &m))
	authorities := func(list []*prototrustroot.CertificateAuthority) (out []trust.PartAuthority) {
		for _, ca := range list {
			var ders [][]byte
			for _, c := range ca.GetCertChain().GetCertificates() {
				ders = append(ders, c.GetRawBytes())
			}
			out = append(out, trust.PartAuthority{URI: ca.GetUri(), Organization: "any", CommonName: "any", Chain: pemOf("CERTIFICATE", ders...)})
		}
		return out
	}
	logs := func(list []*prototrustroot.TransparencyLogInstance) (out []trust.PartLog) {
		for _, l := range list {
			out = append(out, trust.PartLog{BaseURL: l.GetBaseUrl(), HashAlgorithm: "sha256", Key: pemOf("PUBLIC KEY", l.GetPublicKey().GetRawBytes())})
		}
		return out
	}
	return trust.Parts{
		CertificateAuthorities: authorities(m.GetCertificateAuthorities()),
		TimestampAuthorities:   authorities(m.GetTimestampAuthorities()),
		TLogs:                  logs(m.GetTlogs()),
		CTLogs:                 logs(m.GetCtlogs()),
	}
}

// A bundle verifies under the parts as under the trusted root.
func TestFromParts(t *testing.T) {
	s := verifytest.NewSigstore(t)
	p := parts(t, s)
	root, err := trust.FromParts(p)
	require.NoError(t, err)
	bundle := s.Bundle(t, verifytest.Statement(t, []provenance.Subject{{Name: "image-id"}}), verifytest.BundleOptions{})
	_, err = root.Verify(bundle, time.Now())
	require.NoError(t, err)

	// Equal parts, equal digest; spaces between blocks do not count.
	p.CertificateAuthorities[0].Chain = append([]byte("\n\n"), p.CertificateAuthorities[0].Chain...)
	p.TLogs[0].HashAlgorithm = "sha-256"
	again, err := trust.FromParts(p)
	require.NoError(t, err)
	require.Equal(t, root.Digest(), again.Digest())

	// The parts of another Sigstore are another instance.
	stranger, err := trust.FromParts(parts(t, verifytest.NewSigstore(t)))
	require.NoError(t, err)
	require.NotEqual(t, root.Digest(), stranger.Digest())
	_, err = stranger.Verify(bundle, time.Now())
	require.Error(t, err)
}

// A TrustRoot may be for timestamps, or for a log, alone.
func TestFromPartsForOnePurpose(t *testing.T) {
	p := parts(t, verifytest.NewSigstore(t))
	for _, one := range []trust.Parts{{TimestampAuthorities: p.TimestampAuthorities}, {TLogs: p.TLogs}, {CertificateAuthorities: p.CertificateAuthorities}} {
		_, err := trust.FromParts(one)
		require.NoError(t, err)
	}
}

func TestFromPartsTakesKeysThatLogsHave(t *testing.T) {
	good := parts(t, verifytest.NewSigstore(t))
	for name, key := range map[string]func() (any, error){
		"P-384":    func() (any, error) { k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader); return k.Public(), err },
		"P-521":    func() (any, error) { k, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader); return k.Public(), err },
		"Ed25519":  func() (any, error) { k, _, err := ed25519.GenerateKey(rand.Reader); return k, err },
		"RSA 2048": func() (any, error) { k, err := rsa.GenerateKey(rand.Reader, 2048); return k.Public(), err },
	} {
		k, err := key()
		require.NoError(t, err)
		der, err := x509.MarshalPKIXPublicKey(k)
		require.NoError(t, err)
		p := good
		p.CTLogs = []trust.PartLog{{BaseURL: "https://ct.test", HashAlgorithm: "sha256", Key: pemOf("PUBLIC KEY", der)}}
		_, err = trust.FromParts(p)
		require.NoError(t, err, name)
	}
}

func TestFromPartsRefuses(t *testing.T) {
	s, other := verifytest.NewSigstore(t), verifytest.NewSigstore(t)
	weak := mustSPKI(t, func() (any, error) { k, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader); return k.Public(), err })
	odd := mustSPKI(t, func() (any, error) { k, err := rsa.GenerateKey(rand.Reader, 2056); return k.Public(), err })
	chain := parts(t, s).CertificateAuthorities[0].Chain
	cut, otherChain := second(chain), parts(t, other).CertificateAuthorities[0].Chain
	for reason, spoil := range map[string]func(*trust.Parts){
		"not PEM alone: want it to begin with a whole block -----BEGIN CERTIFICATE----- ": func(p *trust.Parts) {
			p.CertificateAuthorities[0].Chain = append([]byte("-----BEGIN CERTIFICATE-----\n"), chain...)
		},
		"no PEM in it, want -----BEGIN CERTIFICATE-----":  func(p *trust.Parts) { p.CertificateAuthorities[0].Chain = nil },
		"no PEM in it, want -----BEGIN CERTIFICATE----- ": func(p *trust.Parts) { p.CertificateAuthorities[0].Chain = []byte("root.pem\n") },
		"no PEM in it, want -----BEGIN PUBLIC KEY-----":   func(p *trust.Parts) { p.TLogs[0].Key = []byte("rekor.pub") },
		"not PEM alone":         func(p *trust.Parts) { p.CertificateAuthorities[0].Chain = append([]byte("x\n"), chain...) },
		"not PEM after block 2": func(p *trust.Parts) { p.CertificateAuthorities[0].Chain = append(bytes.Clone(chain), "rest"...) },
		"want CERTIFICATE":      func(p *trust.Parts) { p.CertificateAuthorities[0].Chain = p.TLogs[0].Key },
		"is not issued by the next": func(p *trust.Parts) {
			p.CertificateAuthorities[0].Chain = append(bytes.Clone(chain[cut:]), chain[:cut]...)
		},
		"certificate 1 (CN=fulcio,": func(p *trust.Parts) {
			p.CertificateAuthorities[0].Chain = append(bytes.Clone(chain[:cut]), otherChain[second(otherChain):]...)
		},
		"is no certificate authorit": func(p *trust.Parts) {
			p.TimestampAuthorities[0].Chain = p.TimestampAuthorities[0].Chain[:second(p.TimestampAuthorities[0].Chain)]
		},
		"bytes of PEM":              func(p *trust.Parts) { p.TLogs[0].Key = make([]byte, 1<<20) },
		"want one PUBLIC KEY":       func(p *trust.Parts) { p.TLogs[0].Key = append(p.TLogs[0].Key, p.CTLogs[0].Key...) },
		"\"CERTIFICATE\", want one": func(p *trust.Parts) { p.TLogs[0].Key = chain[:cut] },
		"publicKey: ":               func(p *trust.Parts) { p.TLogs[0].Key = pemOf("PUBLIC KEY", []byte("x")) },
		"curve P-224":               func(p *trust.Parts) { p.TLogs[0].Key = pemOf("PUBLIC KEY", weak) },
		"2056 bits":                 func(p *trust.Parts) { p.TLogs[0].Key = pemOf("PUBLIC KEY", odd) },
		"hashAlgorithm is \"sha1\"": func(p *trust.Parts) { p.TLogs[0].HashAlgorithm = "sha1" },
		"hashAlgorithm is \"\"":     func(p *trust.Parts) { p.TLogs[0].HashAlgorithm = "" },
		"have the same key":         func(p *trust.Parts) { p.TLogs = append(p.TLogs, p.TLogs[0]) },
		"tLogs has 65 entries":      func(p *trust.Parts) { p.TLogs = make([]trust.PartLog, 65) },
	} {
		p := parts(t, s)
		spoil(&p)
		_, err := trust.FromParts(p)
		require.ErrorIs(t, err, trust.ErrRoot, reason)
		require.ErrorContains(t, err, strings.TrimSpace(reason))
	}
	_, err := trust.FromParts(trust.Parts{})
	require.ErrorIs(t, err, trust.ErrRoot)
}

// second is where the second block of PEM begins.
func second(pem []byte) int { return bytes.Index(pem[1:], []byte("-----BEGIN")) + 1 }

func mustSPKI(t *testing.T, make func() (any, error)) []byte {
	t.Helper()
	key, err := make()
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key)
	require.NoError(t, err)
	return der
}

// FuzzFromParts: whatever is accepted is accepted again with the same digest.
func FuzzFromParts(f *testing.F) {
	p := parts(f, verifytest.NewSigstore(f))
	chain, key := p.CertificateAuthorities[0].Chain, p.TLogs[0].Key
	f.Add(chain, key)
	f.Add(key, chain)
	f.Add(chain[:len(chain)/2], key[:len(key)/2])
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte("-----BEGIN \n"), []byte("-----BEGIN PUBLIC KEY-----\nH: v\n\nAAAA\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, chain, key []byte) {
		q := p
		q.CertificateAuthorities = []trust.PartAuthority{{URI: "https://fuzz.test", Chain: chain}}
		q.TLogs = []trust.PartLog{{BaseURL: "https://fuzz.test", HashAlgorithm: "sha256", Key: key}}
		root, err := trust.FromParts(q)
		if err != nil {
			require.ErrorIs(t, err, trust.ErrRoot)
			return
		}
		again, err := trust.FromParts(q)
		require.NoError(t, err)
		require.Equal(t, root.Digest(), again.Digest())
	})
}
