// SPDX-License-Identifier: Apache-2.0

package notation_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"github.com/veraison/go-cose"

	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/notation"
	"github.com/plombproject/plomb/verify/verifytest"
)

// deadEnd is an address that answers nobody.
const deadEnd = "http://127.0.0.1:1/list.crl"

// An attack is one thing wrong with an otherwise good signature.
type attack struct {
	name string
	// sign spoils the signature, options the policy, edit the envelope.
	sign    verifytest.NotationOptions
	options func(*notation.Options)
	edit    func(t testing.TB, envelope []byte) []byte
	// only is the one media type that the attack is for.
	only string
	want error
	// lax: notation-go's verifier lets it pass.
	lax bool
}

func attacks(n, other *verifytest.Notary) []attack {
	list := append(signerAttacks(other), timeAttacks(n, other)...)
	list = append(list, contentAttacks()...)
	return append(list, envelopeAttacks(n, other)...)
}

// signerAttacks are by people with certificates of some kind.
func signerAttacks(other *verifytest.Notary) []attack {
	return []attack{
		{name: "another authority", options: func(o *notation.Options) { o.CAs = store{"acme": other.CA()} }, want: notation.ErrUntrusted},
		{name: "no store for a signing authority", sign: verifytest.NotationOptions{SigningAuthority: true},
			options: func(o *notation.Options) { o.SigningAuthorities = nil }, want: notation.ErrUntrusted},
		{name: "signing authority in a store of type ca only", options: func(o *notation.Options) { o.CAs = nil }, want: notation.ErrUntrusted},
		{name: "another identity", sign: verifytest.NotationOptions{Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"plomb"}, CommonName: "intern"}}, want: notation.ErrIdentity},
		{name: "identity with a comma in one value", sign: verifytest.NotationOptions{Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"evil"}, CommonName: "release, O=plomb"}}, want: notation.ErrIdentity},
		{name: "identity with two organizations", sign: verifytest.NotationOptions{Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"plomb", "evil"}, CommonName: "release"}}, want: notation.ErrIdentity},
		{name: "no country", sign: verifytest.NotationOptions{Subject: pkix.Name{Organization: []string{"plomb"}, CommonName: "release"}}, want: notation.ErrIdentity},
		{name: "certificate for servers", sign: verifytest.NotationOptions{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning, x509.ExtKeyUsageServerAuth}}, want: notation.ErrEnvelope},
		{name: "certificate for timestamps", sign: verifytest.NotationOptions{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}}, want: notation.ErrEnvelope},
		{name: "certificate for anything", sign: verifytest.NotationOptions{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}, want: notation.ErrEnvelope, lax: true},
		{name: "small key", sign: verifytest.NotationOptions{Key: weak}, want: notation.ErrEnvelope},
		{name: "SHA-1", sign: verifytest.NotationOptions{Weak: true}, want: notation.ErrEnvelope},
		{name: "revocation not known", sign: verifytest.NotationOptions{CRL: deadEnd}, want: notation.ErrRevocation},
	}
}

// timeAttacks are by people whose certificates are not good at the time.
func timeAttacks(n, other *verifytest.Notary) []attack {
	now := time.Now()
	tsa := trustTSA(n)
	return []attack{
		{name: "expired certificate", sign: verifytest.NotationOptions{SignedAt: now.AddDate(0, -1, 0)}, want: notation.ErrValidity},
		{name: "certificate of tomorrow", sign: verifytest.NotationOptions{CertificateFrom: now.Add(time.Hour)}, want: notation.ErrValidity},
		{name: "stamped after the certificate expired", sign: verifytest.NotationOptions{SignedAt: now.AddDate(0, -1, 0), Timestamp: n, StampedAt: now}, options: tsa, want: notation.ErrValidity},
		{name: "no timestamp", options: tsa, want: notation.ErrTimestamp},
		{name: "timestamp of an authority nobody trusts", sign: verifytest.NotationOptions{Timestamp: other}, options: tsa, want: notation.ErrTimestamp},
		{name: "timestamp of the future", sign: verifytest.NotationOptions{Timestamp: n, StampedAt: now.Add(30 * time.Minute)}, options: tsa, want: notation.ErrClock, lax: true},
		{name: "signing authority of the future", sign: verifytest.NotationOptions{SigningAuthority: true, SignedAt: now.Add(8 * time.Minute)}, want: notation.ErrClock, lax: true},
		{name: "signing authority with an expired certificate", sign: verifytest.NotationOptions{SigningAuthority: true, CertificateFrom: now.AddDate(0, -1, 0)}, want: notation.ErrValidity},
		{name: "signature expired", sign: verifytest.NotationOptions{SignedAt: now.Add(-10 * time.Minute), Expiry: now.Add(-time.Minute)}, want: notation.ErrExpired},
	}
}

func trustTSA(n *verifytest.Notary) func(*notation.Options) {
	return func(o *notation.Options) { o.TSAs = store{"tsa": n.TSA()} }
}

// contentAttacks sign what should not be signed.
func contentAttacks() []attack {
	return []attack{
		{name: "critical attribute", sign: verifytest.NotationOptions{Critical: map[string]any{"example.org/region": "eu"}}, want: notation.ErrCritical, lax: true},
		{name: "plugin", sign: verifytest.NotationOptions{Critical: map[string]any{"io.cncf.notary.verificationPlugin": "com.example.kms"}}, want: notation.ErrPlugin},
		{name: "plugin that is not critical", sign: verifytest.NotationOptions{Extra: map[string]any{"io.cncf.notary.verificationPlugin": "com.example.kms"}}, want: notation.ErrPlugin},
		{name: "plugin by path", sign: verifytest.NotationOptions{Critical: map[string]any{"io.cncf.notary.verificationPlugin": "../../bin/sh"}}, want: notation.ErrPlugin},
		{name: "version of a plugin alone", sign: verifytest.NotationOptions{Critical: map[string]any{"io.cncf.notary.verificationPluginMinVersion": "1.0.0"}}, want: notation.ErrPlugin, lax: true},

		{name: "another payload", sign: verifytest.NotationOptions{PayloadType: "application/vnd.in-toto+json"}, want: notation.ErrPayload},
		{name: "no target", sign: verifytest.NotationOptions{Payload: []byte(`{"subject":{}}`)}, want: notation.ErrPayload},
		{name: "target without a digest", sign: verifytest.NotationOptions{Payload: []byte(`{"targetArtifact":{"mediaType":"a/b","size":5}}`)}, want: notation.ErrPayload},
		{name: "target by SHA-512", sign: verifytest.NotationOptions{Payload: []byte(`{"targetArtifact":{"mediaType":"a/b","size":5,"digest":"sha512:` + strings.Repeat("0", 128) + `"}}`)}, want: notation.ErrPayload},
		{name: "two targets", only: verifytest.NotationCOSE, want: notation.ErrPayload, lax: true,
			sign: verifytest.NotationOptions{Payload: []byte(`{"targetArtifact":{"mediaType":"a/b","size":5,"digest":"sha256:` + strings.Repeat("0", 64) + `"},"targetArtifact":` + targetJSON + `}`)}},
	}
}

// envelopeAttacks change the envelope after it was signed.
func envelopeAttacks(n, other *verifytest.Notary) []attack {
	tsa := trustTSA(n)
	return []attack{
		{name: "tampered payload", edit: tamper, want: notation.ErrSignature},
		{name: "another's certificates", edit: func(t testing.TB, data []byte) []byte { return swapChain(t, data, n) }, want: notation.ErrSignature},
		{name: "trusted root behind a chain of one's own", edit: func(t testing.TB, data []byte) []byte { return appendRoot(t, data, n, other) }, want: notation.ErrEnvelope},
		{name: "key that takes long", edit: slowKey, want: notation.ErrEnvelope},
		{name: "many certificates", edit: func(t testing.TB, data []byte) []byte {
			return verifytest.SwapNotationChain(t, data, kind(data), repeated(n.CA()[0], 17))
		}, want: notation.ErrEnvelope},
		{name: "timestamp that is none", edit: func(t testing.TB, data []byte) []byte { return stampWith(t, data, []byte("soon")) }, options: tsa, want: notation.ErrTimestamp},
		{name: "timestamp of another signature", edit: func(t testing.TB, data []byte) []byte { return borrowStamp(t, data, n) }, options: tsa, want: notation.ErrTimestamp},
		{name: "bytes behind the end", edit: func(_ testing.TB, data []byte) []byte { return append(bytes.Clone(data), '{') }, want: notation.ErrEnvelope},
		{name: "huge", edit: func(_ testing.TB, data []byte) []byte {
			return append(bytes.Clone(data), bytes.Repeat([]byte(" "), notation.MaxEnvelope)...)
		},
			want: notation.ErrEnvelope, lax: true},
		{name: "empty", edit: func(testing.TB, []byte) []byte { return nil }, want: notation.ErrEnvelope},

		{name: "algorithm none", only: verifytest.NotationJWS, edit: algNone, want: notation.ErrSignature},
		{name: "two payloads", only: verifytest.NotationJWS, edit: replace(`{"`, `{"payload":"e30","`), want: notation.ErrEnvelope, lax: true},
		{name: "payload in capitals", only: verifytest.NotationJWS, edit: replace(`"payload"`, `"Payload"`), want: notation.ErrEnvelope, lax: true},
		{name: "two chains", only: verifytest.NotationJWS, edit: replace(`"x5c"`, `"x5c":[],"x5c"`), want: notation.ErrEnvelope, lax: true},
		{name: "general serialization beside the flattened", only: verifytest.NotationJWS, edit: replace(`{"`, `{"signatures":[],"`), want: notation.ErrEnvelope, lax: true},
	}
}

func TestAttacks(t *testing.T) {
	n, other := verifytest.NewNotary(t), verifytest.NewNotary(t)
	for _, mediaType := range mediaTypes {
		for _, a := range attacks(n, other) {
			if a.only != "" && a.only != mediaType {
				continue
			}
			t.Run(mediaType+"/"+a.name, func(t *testing.T) {
				a.sign.MediaType = mediaType
				o := options(n)
				if a.options != nil {
					a.options(&o)
				}
				envelope := n.Notation(t, target, a.sign)
				if a.edit != nil {
					envelope = a.edit(t, envelope)
				}
				start := time.Now()
				got, err := verify(t, o, envelope, mediaType, start)
				require.ErrorIs(t, err, a.want)
				require.Nil(t, got)
				require.Less(t, time.Since(start), time.Second)
				if a.name == "huge" && mediaType == verifytest.NotationCOSE {
					a.lax = false // CBOR ends where it ends
				}
				if a.name == "key that takes long" {
					return // it would take long
				}
				require.Equal(t, a.lax, upstream(t, o, envelope, mediaType) == nil, "notation-go's own verdict")
			})
		}
	}
}

// The media type of the layer decides how an envelope is read, not its bytes.
func TestSwappedMediaType(t *testing.T) {
	n := verifytest.NewNotary(t)
	for _, mediaType := range mediaTypes {
		envelope := n.Notation(t, target, verifytest.NotationOptions{MediaType: mediaType})
		for _, claimed := range []string{verifytest.NotationJWS, verifytest.NotationCOSE, "application/json", ""} {
			_, err := verify(t, options(n), envelope, claimed, time.Now())
			if claimed == mediaType {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, notation.ErrEnvelope)
			require.Error(t, upstream(t, options(n), envelope, claimed))
		}
	}
}

// What a signature is about is for others to compare; here it is handed on.
func TestTargetIsWhatWasSigned(t *testing.T) {
	n := verifytest.NewNotary(t)
	other := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: document.Digest([]byte("another image")), Size: 7}
	envelope := n.Notation(t, other, verifytest.NotationOptions{})
	got, err := verify(t, options(n), envelope, verifytest.NotationJWS, time.Now())
	require.NoError(t, err)
	require.Equal(t, other, got.Target)
	require.Error(t, upstream(t, options(n), envelope, verifytest.NotationJWS), "it compares with the image")
}

var weak = func() *rsa.PrivateKey {
	// Go refuses to make a key of 1024 bits nowadays; this one is as good.
	p, q := prime(512), prime(512)
	one := big.NewInt(1)
	e := big.NewInt(65537)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: new(big.Int).ModInverse(e, phi), Primes: []*big.Int{p, q}}
	k.Precompute()
	return k
}()

func prime(bits int) *big.Int {
	p, err := rand.Prime(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return p
}

var targetJSON = func() string {
	data, err := json.Marshal(target)
	if err != nil {
		panic(err)
	}
	return string(data)
}()

func kind(data []byte) string {
	if bytes.HasPrefix(data, []byte("{")) {
		return verifytest.NotationJWS
	}
	return verifytest.NotationCOSE
}

func replace(from, to string) func(testing.TB, []byte) []byte {
	return func(t testing.TB, data []byte) []byte {
		require.Contains(t, string(data), from)
		return []byte(strings.Replace(string(data), from, to, 1))
	}
}

// editJWS and editCOSE hand an envelope to change, and encode it again.
func editJWS(t testing.TB, data []byte, change func(map[string]any)) []byte {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(data, &m))
	change(m)
	out, err := json.Marshal(m)
	require.NoError(t, err)
	return out
}

func editCOSE(t testing.TB, data []byte, change func(*cose.Sign1Message)) []byte {
	t.Helper()
	var m cose.Sign1Message
	require.NoError(t, m.UnmarshalCBOR(data))
	change(&m)
	m.Headers.RawUnprotected = nil
	out, err := m.MarshalCBOR()
	require.NoError(t, err)
	return out
}

func tamper(t testing.TB, data []byte) []byte {
	payload := []byte(`{"targetArtifact":` + strings.Replace(targetJSON, `"size":5`, `"size":6`, 1) + `}`)
	if kind(data) == verifytest.NotationCOSE {
		return editCOSE(t, data, func(m *cose.Sign1Message) { m.Payload = payload })
	}
	return editJWS(t, data, func(m map[string]any) { m["payload"] = base64.RawURLEncoding.EncodeToString(payload) })
}

func algNone(t testing.TB, data []byte) []byte {
	return editJWS(t, data, func(m map[string]any) {
		raw, err := base64.RawURLEncoding.DecodeString(m["protected"].(string))
		require.NoError(t, err)
		raw = bytes.Replace(raw, []byte(`"ES256"`), []byte(`"none"`), 1)
		m["protected"] = base64.RawURLEncoding.EncodeToString(raw)
		m["signature"] = ""
	})
}

// stampWith puts a timestamp token into an envelope.
func stampWith(t testing.TB, data, token []byte) []byte {
	if kind(data) == verifytest.NotationCOSE {
		return editCOSE(t, data, func(m *cose.Sign1Message) {
			m.Headers.Unprotected["io.cncf.notary.timestampSignature"] = token
		})
	}
	return editJWS(t, data, func(m map[string]any) {
		m["header"].(map[string]any)["io.cncf.notary.timestampSignature"] = token
	})
}

// borrowStamp takes the timestamp of another signature.
func borrowStamp(t testing.TB, data []byte, n *verifytest.Notary) []byte {
	return stampWith(t, data, stampOf(t, n.Notation(t, target, verifytest.NotationOptions{Timestamp: n})))
}

// stampOf reads the timestamp token of a JWS.
func stampOf(t testing.TB, data []byte) (token []byte) {
	editJWS(t, data, func(m map[string]any) {
		var err error
		token, err = base64.StdEncoding.DecodeString(m["header"].(map[string]any)["io.cncf.notary.timestampSignature"].(string))
		require.NoError(t, err)
	})
	return token
}

// chainOf reads the certificates of a signature.
func chainOf(t testing.TB, data []byte) []*x509.Certificate {
	t.Helper()
	var raw [][]byte
	if kind(data) == verifytest.NotationCOSE {
		editCOSE(t, data, func(m *cose.Sign1Message) {
			for _, der := range m.Headers.Unprotected[cose.HeaderLabelX5Chain].([]any) {
				raw = append(raw, der.([]byte))
			}
		})
	} else {
		var m struct {
			Header struct {
				X5C [][]byte `json:"x5c"`
			} `json:"header"`
		}
		require.NoError(t, json.Unmarshal(data, &m))
		raw = m.Header.X5C
	}
	var chain []*x509.Certificate
	for _, der := range raw {
		cert, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		chain = append(chain, cert)
	}
	return chain
}

// swapChain shows the certificates of somebody who is trusted.
func swapChain(t testing.TB, data []byte, n *verifytest.Notary) []byte {
	trusted := n.Notation(t, target, verifytest.NotationOptions{})
	return verifytest.SwapNotationChain(t, data, kind(data), chainOf(t, trusted))
}

// appendRoot signs with a chain of another authority and adds the trusted root,
// which is all that authenticity looks for.
func appendRoot(t testing.TB, data []byte, n, other *verifytest.Notary) []byte {
	evil := other.Notation(t, target, verifytest.NotationOptions{MediaType: kind(data)})
	return verifytest.SwapNotationChain(t, evil, kind(data), append(chainOf(t, evil), n.CA()...))
}

// slowKey shows a certificate whose key has so many bits that checking one
// signature takes very long.
func slowKey(t testing.TB, data []byte) []byte {
	n := new(big.Int).SetBit(big.NewInt(1), 1<<20, 1)
	signer := verifytest.NotationKey(t, 256)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), Subject: verifytest.NotationSubject}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &rsa.PublicKey{N: n, E: 1<<31 - 1}, signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return verifytest.SwapNotationChain(t, data, kind(data), []*x509.Certificate{cert})
}

func repeated(cert *x509.Certificate, times int) []*x509.Certificate {
	var list []*x509.Certificate
	for range times {
		list = append(list, cert)
	}
	return list
}
