// SPDX-License-Identifier: Apache-2.0

//go:build integration

package notation

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stampURL is a timestamp authority that answers as notation wants it to.
var stampURL string

// serveStamps puts a proxy before the stand's timestamp authority, which
// answers 201 Created as Sigstore's does: notation takes 200 OK alone.
func serveStamps() (stop func(), err error) {
	data, err := os.ReadFile(filepath.Join(on.Sigstore, "signing_config.json"))
	if err != nil {
		return nil, err
	}
	var config struct {
		Authorities []struct{ URL string } `json:"tsaUrls"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, err
	}
	target, err := url.Parse(config.Authorities[0].URL)
	if err != nil {
		return nil, err
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL, r.Out.Host = target, "" },
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode == http.StatusCreated {
				r.StatusCode, r.Status = http.StatusOK, "200 OK"
			}
			return nil
		},
	})
	stampURL = proxy.URL
	return proxy.Close, nil
}

// stampRoot is the root of the stand's timestamp authority.
func stampRoot(t *testing.T) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(on.TrustedRoot())
	require.NoError(t, err)
	var root struct {
		TimestampAuthorities []struct {
			CertChain struct {
				Certificates []struct{ RawBytes []byte }
			}
		}
	}
	require.NoError(t, json.Unmarshal(data, &root))
	chain := root.TimestampAuthorities[0].CertChain.Certificates
	cert, err := x509.ParseCertificate(chain[len(chain)-1].RawBytes)
	require.NoError(t, err)
	return cert
}

// shortly is how long certificates are valid that are to expire.
const shortly = 5 * time.Second

// timeRows are about certificates that have expired, and timestamps.
func timeRows() []row {
	after := func(stores ...string) statement {
		s := strict(stores...)
		s.Level.Timestamp = "afterCertExpiry"
		return s
	}
	const stampHeader = "io.cncf.notary.timestampSignature"
	return []row{
		{"the certificate has expired", denied, "notation-validity", false, func(t *testing.T, s *scene) statement {
			s.expired(t)
			return strict()
		}},
		{"expired, with a timestamp that nobody asks for", denied, "notation-validity", false, func(t *testing.T, s *scene) statement {
			s.expired(t, s.stamped(t)...)
			return strict()
		}},
		{"expired, with a timestamp", allowed, "", true, func(t *testing.T, s *scene) statement {
			s.expired(t, s.stamped(t)...)
			return strict("tsa:stand")
		}},
		{"expired, with a timestamp, asked for then only", allowed, "", true, func(t *testing.T, s *scene) statement {
			s.expired(t, s.stamped(t)...)
			return after("tsa:stand")
		}},
		{"expired, with the timestamp of another signature", denied, "notation-timestamp", false, func(t *testing.T, s *scene) statement {
			other := pushTo(t, s.repo, "other")
			s.sign(t, s.signer(t), other.ref(), s.stamped(t)...)
			stolen := envelopeOf(t, other, signatures(t, other, other.index)[0])["header"].(map[string]any)[stampHeader]
			require.NotEmpty(t, stolen)
			s.store(t, "tsa", "stand", stampRoot(t))
			s.changed(t, s.expiring(t), func(envelope map[string]any) { envelope["header"].(map[string]any)[stampHeader] = stolen })
			return strict("tsa:stand")
		}},
		{"not expired, without the timestamp asked for", denied, "notation-timestamp", false, func(t *testing.T, s *scene) statement {
			s.sign(t, s.signer(t), s.ref())
			s.store(t, "tsa", "stand", stampRoot(t))
			return strict("tsa:stand")
		}},
		{"not expired, without a timestamp, asked for when expired", allowed, "", true, func(t *testing.T, s *scene) statement {
			s.sign(t, s.signer(t), s.ref())
			s.store(t, "tsa", "stand", stampRoot(t))
			return after("tsa:stand")
		}},
		{"a timestamp of another authority", denied, "notation-timestamp", false, func(t *testing.T, s *scene) statement {
			s.sign(t, s.signer(t), s.ref(), s.stamped(t)...)
			s.store(t, "tsa", "other", newAuthority(t, "Other Clock").cert())
			return strict("tsa:other")
		}},
	}
}

// expired signs with a certificate that soon expires, and has the question wait
// for that.
func (s *scene) expired(t *testing.T, flags ...string) {
	t.Helper()
	s.store(t, "tsa", "stand", stampRoot(t))
	s.sign(t, s.expiring(t), s.ref(), flags...)
	require.Less(t, time.Now(), s.ready.Add(-3*time.Second), "the machine is too slow")
}

// expiring has a certificate that soon expires. A timestamp may be wrong by a
// second, and validity ends with a second.
func (s *scene) expiring(t *testing.T) *signer {
	t.Helper()
	until := time.Now().Add(shortly).Truncate(time.Second)
	s.ready = until.Add(time.Second)
	return s.signer(t, func(c *x509.Certificate) { c.NotAfter = until })
}
