// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	oidIssuer      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}
	oidBuildSigner = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 9}
)

func extension(t *testing.T, id asn1.ObjectIdentifier, text string) pkix.Extension {
	der, err := asn1.MarshalWithParams(text, "utf8")
	require.NoError(t, err)
	return pkix.Extension{Id: id, Value: der}
}

// issue makes a certificate for key, signed by nobody of note.
func issue(t *testing.T, key crypto.PublicKey, template x509.Certificate) []byte {
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), now, now.AddDate(0, 0, 1)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key, ca)
	require.NoError(t, err)
	return der
}

// authority answers certificate requests as answer says. It believes no token.
func authority(t *testing.T, answer func(key crypto.PublicKey) []byte) *Services {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			PublicKeyRequest struct {
				PublicKey struct {
					Content string `json:"content"`
				} `json:"publicKey"`
			} `json:"publicKeyRequest"`
		}
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		block, _ := pem.Decode([]byte(request.PublicKeyRequest.PublicKey.Content))
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: answer(key)})
		_ = json.NewEncoder(w).Encode(map[string]any{"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": []string{string(cert)}}}})
	}))
	t.Cleanup(srv.Close)
	s, err := LoadServices(config(srv.URL, "https://tsa.invalid", ""), nil)
	require.NoError(t, err)
	return s
}

// tokenOf is a token with claims that nobody has checked.
func tokenOf(claims string) string {
	return strings.Join([]string{
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)),
		base64.RawURLEncoding.EncodeToString([]byte(claims)), "sig",
	}, ".")
}

// Whatever a token claims, the builder is who the certificate says it is.
func TestBuilderIsTheCertificates(t *testing.T) {
	workflow := "https://github.com/team/app/.github/workflows/release.yml@refs/heads/main"
	subject, err := url.Parse("https://kubernetes.io/namespaces/ci/serviceaccounts/builder")
	require.NoError(t, err)
	issuer := extension(t, oidIssuer, "https://issuer.example")
	claims := []string{
		`{"iss":"https://issuer.example","sub":"me"}`,
		`{"iss":"https://token.actions.githubusercontent.com","sub":"x","job_workflow_ref":"victim/app/.github/workflows/release.yml@refs/heads/main"}`,
		`{"iss":"https://gitlab.com","sub":"x","ci_config_ref_uri":"gitlab.com/victim/app//.gitlab-ci.yml@refs/heads/main"}`,
		`{"iss":"https://issuer.example","sub":"https://victim.example/builder"}`,
	}
	for name, row := range map[string]struct {
		template x509.Certificate
		builder  string
	}{
		"a workflow": {x509.Certificate{URIs: []*url.URL{subject}, ExtraExtensions: []pkix.Extension{issuer, extension(t, oidBuildSigner, workflow)}}, workflow},
		"a subject":  {x509.Certificate{URIs: []*url.URL{subject}, ExtraExtensions: []pkix.Extension{issuer}}, subject.String()},
		"a person":   {x509.Certificate{EmailAddresses: []string{"me@example.com"}, ExtraExtensions: []pkix.Extension{issuer}}, "https://issuer.example"},
	} {
		t.Run(name, func(t *testing.T) {
			s := authority(t, func(key crypto.PublicKey) []byte { return issue(t, key, row.template) })
			for _, c := range claims {
				identity, err := s.Certify(t.Context(), tokenOf(c), now)
				require.NoError(t, err)
				require.Equal(t, row.builder, identity.Builder, c)
			}
		})
	}
}

func TestCertifyRefusesCertificates(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	known := x509.Certificate{EmailAddresses: []string{"me@example.com"}, ExtraExtensions: []pkix.Extension{extension(t, oidIssuer, "https://issuer.example")}}
	for name, row := range map[string]struct {
		answer func(crypto.PublicKey) []byte
		says   string
	}{
		"of another key":  {func(crypto.PublicKey) []byte { return issue(t, &other.PublicKey, known) }, "another key"},
		"broken":          {func(crypto.PublicKey) []byte { return []byte("x") }, "broken certificate"},
		"without subject": {func(k crypto.PublicKey) []byte { return issue(t, k, x509.Certificate{}) }, "certificate"},
		"without issuer": {func(k crypto.PublicKey) []byte {
			return issue(t, k, x509.Certificate{EmailAddresses: known.EmailAddresses})
		}, "does not say whose it is"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := authority(t, row.answer).Certify(t.Context(), idToken, now)
			require.ErrorIs(t, err, ErrService)
			require.ErrorContains(t, err, row.says)
			require.ErrorContains(t, err, "certificate authority (Fulcio) at ")
		})
	}
}

// A signature asks for no further certificate.
func TestSignTakesTheCertificateItHas(t *testing.T) {
	asked := 0
	s := authority(t, func(key crypto.PublicKey) []byte {
		asked++
		return issue(t, key, x509.Certificate{EmailAddresses: []string{"me@example.com"}, ExtraExtensions: []pkix.Extension{extension(t, oidIssuer, "https://issuer.example")}})
	})
	identity, err := s.Certify(t.Context(), idToken, now)
	require.NoError(t, err)
	identity.opts.TimestampAuthorities, identity.opts.TrustedRoot = nil, nil
	bundle, err := identity.Sign(t.Context(), []byte(`{"a":"<&>"}`))
	require.NoError(t, err)
	require.Equal(t, 1, asked)
	var b struct {
		VerificationMaterial struct {
			Certificate struct {
				RawBytes []byte `json:"rawBytes"`
			} `json:"certificate"`
		} `json:"verificationMaterial"`
		DSSEEnvelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(bundle, &b))
	require.Equal(t, `{"a":"<&>"}`, string(b.DSSEEnvelope.Payload))
	cert, err := x509.ParseCertificate(b.VerificationMaterial.Certificate.RawBytes)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(identity.keypair.GetPublicKey()), fmt.Sprint(cert.PublicKey))
}
