// SPDX-License-Identifier: Apache-2.0

//go:build integration

package private

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tokens is a token server: docker's "Token Authentication Specification"
// (https://distribution.github.io/distribution/spec/auth/token/), for OAuth
// posts and for the older gets.
type tokens struct {
	*authority
	signer *ecdsa.PrivateKey
	cert   *x509.Certificate
	// audience is whom the tokens are for.
	audience string
	// older refuses OAuth posts, as some registries do.
	older bool
	// asked counts requests with the right password.
	asked atomic.Int64
}

func newTokens(t *testing.T) (*tokens, string) {
	t.Helper()
	s := &tokens{authority: newAuthority(t), audience: "registry"}
	key, cert := s.issue("signer", &x509.Certificate{Subject: pkix.Name{CommonName: "tokens"}, KeyUsage: x509.KeyUsageDigitalSignature})
	s.signer, s.cert = key.(*ecdsa.PrivateKey), cert
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, secret, _ := r.BasicAuth()
	if r.Method == http.MethodPost {
		if s.older {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		name, secret = r.PostFormValue("username"), r.PostFormValue("password")
		if r.PostFormValue("grant_type") == "refresh_token" && r.PostFormValue("refresh_token") == password {
			name, secret = user, password
		}
	}
	if name != user || secret != password {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.asked.Add(1)
	token, err := s.token(strings.Fields(r.FormValue("scope")))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "access_token": token, "expires_in": 60})
}

// token is a JSON Web Token for the scopes.
func (s *tokens) token(scopes []string) (string, error) {
	access := []map[string]any{}
	for _, scope := range scopes {
		parts := strings.Split(scope, ":")
		access = append(access, map[string]any{"type": parts[0], "name": parts[1], "actions": strings.Split(parts[2], ",")})
	}
	now := time.Now().Unix()
	header, err := json.Marshal(map[string]any{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(s.cert.Raw)}})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iss": "tokens", "sub": user, "aud": s.audience, "iat": now, "nbf": now - 60, "exp": now + 60, "jti": fmt.Sprint(now), "access": access,
	})
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	r, v, err := ecdsa.Sign(rand.Reader, s.signer, sum[:])
	if err != nil {
		return "", err
	}
	sig := append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...)
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// registry is one that wants tokens of a realm.
func (s *tokens) registry(realm string) string {
	return registry(s.t, fmt.Sprintf("auth: {token: {realm: %q, service: registry, issuer: tokens, rootcertbundle: %q, signingalgorithms: [ES256]}}\n",
		realm+"/token", s.path("ca.crt")))
}

func TestTokens(t *testing.T) {
	i := push(t)
	server, realm := newTokens(t)
	host := server.registry(realm)
	static := "static: " + login(t, host, password)
	for _, server.older = range []bool{false, true} {
		newNode(t, i, static, "").admits(host)
		newNode(t, i, "static: "+login(t, host, wrong), "").denied(host)
		newNode(t, i, "", "").denied(host)
	}
	server.older = false
	identity := login(t, host, password)
	write(t, identity, fmt.Sprintf(`{"auths": {%q: {"identitytoken": %q}}}`, host, password))
	newNode(t, i, "static: "+identity, "").admits(host)

	server.audience = "another registry"
	newNode(t, i, static, "").denied(host)
}

// TestRealmElsewhere: a registry that somebody else runs names the token server
// of a registry whose password the node has. It gets nothing of it.
func TestRealmElsewhere(t *testing.T) {
	i := push(t)
	server, realm := newTokens(t)
	good := server.registry(realm)
	var seen atomic.Int64
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || strings.Contains(r.URL.RawQuery, password) {
			seen.Add(1)
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="registry",scope="repository:%s:pull"`, realm, i.repository))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(evil.Close)
	host := strings.TrimPrefix(evil.URL, "http://")
	newNode(t, i, "static: "+login(t, good, password), "").denied(host)
	require.Zero(t, server.asked.Load())
	require.Zero(t, seen.Load())

	// Nor when the good registry's name is in the path on the evil host.
	in := i
	in.repository = strings.ReplaceAll(good, ":", "-") + "/" + i.repository
	newNode(t, in, "static: "+login(t, good, password), "").denied(host)
	require.Zero(t, server.asked.Load())
}

// TestRedirectElsewhere: a registry sends its reader to a host that asks for a
// password. It gets neither that of the registry nor any other.
func TestRedirectElsewhere(t *testing.T) {
	i := push(t)
	var seen, asked atomic.Int64
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			seen.Add(1)
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="give it to me"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(evil.Close)
	// Another name of the same machine is another host.
	elsewhere := strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, secret, _ := r.BasicAuth(); name != user || secret != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, elsewhere+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(front.Close)
	host := strings.TrimPrefix(front.URL, "http://")
	newNode(t, i, "static: "+login(t, host, password), "").denied(host)
	require.NotZero(t, asked.Load())
	require.Zero(t, seen.Load())
}
