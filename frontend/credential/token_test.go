// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/credential"
)

var now = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

// secrets stands for what the client passed with --secret.
type secrets map[string]string

func (s secrets) Read(_ context.Context, ids ...string) (*credential.Given, error) {
	got := &credential.Given{Tokens: map[string]string{}}
	for _, id := range ids {
		switch v, ok := s[id]; {
		case ok && id == credential.Key:
			got.Key = &credential.PublicKey{SPKI: []byte(v)}
		case ok:
			got.Tokens[id] = v
		}
	}
	return got, nil
}

type broken struct{}

func (broken) Read(context.Context, ...string) (*credential.Given, error) {
	return nil, errors.New("the daemon went away")
}

func jwt(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS256"}`)) + "." + enc([]byte(claims)) + "." + enc([]byte("the signature part"))
}

func claims(expiry time.Time, more string) string {
	return fmt.Sprintf(`{"iss":"https://issuer.example","sub":"me","exp":%d%s}`, expiry.Unix(), more)
}

func source(s credential.Reader) credential.Source {
	return credential.Source{Secrets: s, Client: http.DefaultClient, Now: func() time.Time { return now }}
}

func TestToken(t *testing.T) {
	token := jwt(claims(now.Add(time.Minute), ""))
	got, err := source(secrets{credential.IDToken: " " + token + "\n"}).Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, &credential.Token{Raw: token}, got)
}

func TestTokenRefuses(t *testing.T) {
	const url, bearer = credential.GitHubTokenURL, credential.GitHubToken
	enc := base64.RawURLEncoding.EncodeToString
	for name, row := range map[string]struct {
		secrets secrets
		is      error
		says    []string
	}{
		"nothing":                    {secrets{}, credential.ErrNone, []string{"--secret id=plomb-id-token,src=FILE", "ACTIONS_ID_TOKEN_REQUEST_URL"}},
		"another secret":             {secrets{"mine": "x"}, credential.ErrNone, nil},
		"empty":                      {secrets{credential.IDToken: ""}, credential.ErrToken, []string{"plomb-id-token is empty", "may request identity tokens"}},
		"spaces":                     {secrets{credential.IDToken: " \n"}, credential.ErrToken, []string{"is empty"}},
		"all empty":                  {secrets{credential.IDToken: "", url: "", bearer: "\n"}, credential.ErrToken, []string{"is empty"}},
		"only the URL":               {secrets{url: "https://example.com"}, credential.ErrToken, []string{url, bearer, "belong together"}},
		"only the token of the pair": {secrets{bearer: "s3cr3t-bearer"}, credential.ErrToken, []string{"belong together"}},
		"half the pair is empty":     {secrets{url: "https://example.com", bearer: ""}, credential.ErrToken, []string{"belong together"}},
		"the URL is none":            {secrets{url: "s3cr3t not a URL", bearer: "s3cr3t-bearer"}, credential.ErrToken, []string{url + " is not a URL"}},
		"the URL has no host":        {secrets{url: "https:///s3cr3t", bearer: "s3cr3t-bearer"}, credential.ErrToken, []string{"is not a URL"}},
		"the URL is broken":          {secrets{url: "http://a\x7f:s3cr3t/%zz", bearer: "s3cr3t-bearer"}, credential.ErrToken, []string{"is not a URL"}},
		"the URL's scheme is odd":    {secrets{url: "gopher://127.0.0.1/s3cr3t", bearer: "s3cr3t-bearer"}, credential.ErrToken, []string{"gopher://127.0.0.1 does not answer"}},
		"expired": {secrets{credential.IDToken: jwt(claims(now.Add(-90*time.Second), `,"x":"s3cr3t"`))}, credential.ErrToken,
			[]string{"https://issuer.example expired at 2024-05-06T07:06:39Z, 1m30s ago", "pass a fresh one", url, bearer}},
		"expires now":           {secrets{credential.IDToken: jwt(claims(now, ""))}, credential.ErrToken, []string{"expired", "0s ago"}},
		"no expiry":             {secrets{credential.IDToken: jwt(`{"iss":"https://issuer.example"}`)}, credential.ErrToken, []string{"expired"}},
		"an expiry beyond time": {secrets{credential.IDToken: jwt(`{"iss":"i","exp":1e300}`)}, credential.ErrToken, nil},
		"an expiry of text":     {secrets{credential.IDToken: jwt(`{"iss":"i","exp":"s3cr3t"}`)}, credential.ErrToken, nil},
		"not a JWT":             {secrets{credential.IDToken: "s3cr3t"}, credential.ErrToken, []string{"not a signed JWT"}},
		"a JWT without signature": {secrets{credential.IDToken: enc([]byte("{}")) + "." + enc([]byte(claims(now.Add(time.Hour), "")))},
			credential.ErrToken, []string{"three parts"}},
		"a JWE":             {secrets{credential.IDToken: "s3cr3t.b.c.d.e"}, credential.ErrToken, []string{"three parts"}},
		"payload no base64": {secrets{credential.IDToken: "a.s3cr3t!.c"}, credential.ErrToken, []string{"base64url"}},
		"payload no JSON":   {secrets{credential.IDToken: jwt("s3cr3t")}, credential.ErrToken, []string{"names no issuer"}},
		"no issuer":         {secrets{credential.IDToken: jwt(`{"sub":"s3cr3t","exp":9999999999}`)}, credential.ErrToken, []string{"names no issuer"}},
		"huge":              {secrets{credential.IDToken: jwt(claims(now.Add(time.Hour), `,"x":"`+strings.Repeat("s3cr3t", 20000)+`"`))}, credential.ErrToken, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := source(row.secrets).Token(t.Context())
			require.ErrorIs(t, err, row.is)
			for _, words := range row.says {
				require.ErrorContains(t, err, words)
			}
			require.Nil(t, got)
			silent(t, err, row.secrets)
		})
	}
	_, err := source(broken{}).Token(t.Context())
	require.ErrorContains(t, err, "read the signing secrets: the daemon went away")
}

// silent requires that an error quotes no secret, and no part of a token.
func silent(t *testing.T, err error, s secrets) {
	require.NotContains(t, err.Error(), "s3cr3t")
	for _, token := range []string{s[credential.IDToken], s[credential.GitHubToken]} {
		for part := range strings.SplitSeq(strings.TrimSpace(token), ".") {
			if len(part) > 3 {
				require.NotContains(t, err.Error(), part)
			}
		}
	}
}

func TestLook(t *testing.T) {
	const token, key = credential.IDToken, credential.Key
	for name, row := range map[string]struct {
		secrets    secrets
		kind       credential.Kind
		token, key bool
		is         error
	}{
		"nothing":          {secrets{}, credential.AnyKind, false, false, nil},
		"another secret":   {secrets{"other": "x"}, credential.AnyKind, false, false, nil},
		"an empty token":   {secrets{token: ""}, credential.AnyKind, true, false, nil}, // a mistake that Token explains, not an absence
		"GitHub's URL":     {secrets{credential.GitHubTokenURL: "x"}, credential.AnyKind, true, false, nil},
		"GitHub's token":   {secrets{credential.GitHubToken: "x"}, credential.AnyKind, true, false, nil},
		"a key":            {secrets{key: "x"}, credential.AnyKind, false, true, nil},
		"both":             {secrets{key: "x", token: "x"}, credential.AnyKind, false, false, credential.ErrAmbiguous},
		"both, key wanted": {secrets{key: "x", token: "x"}, credential.KeyKind, false, true, nil},
		"both, no key":     {secrets{key: "x", token: "x"}, credential.TokenKind, true, false, nil},
		"the other one":    {secrets{key: "x"}, credential.TokenKind, false, false, nil},
		"nor that":         {secrets{token: "x"}, credential.KeyKind, false, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := source(row.secrets)
			s.Kind = row.kind
			gotToken, gotKey, err := s.Look(t.Context())
			require.ErrorIs(t, err, row.is)
			require.Equal(t, row.token, gotToken)
			require.Equal(t, row.key, gotKey != nil)
		})
	}
	_, _, err := source(broken{}).Look(t.Context())
	require.Error(t, err)
	require.ErrorContains(t, credential.Source{Kind: credential.KeyKind}.Missing(), "--secret id=plomb-key,src=FILE")
}

func TestTokenFromGitHub(t *testing.T) {
	token := jwt(claims(now.Add(time.Minute), `,"job_workflow_ref":"o/r/.github/workflows/w.yml@refs/heads/main"`))
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		require.Equal(t, "Bearer request-token", r.Header.Get("Authorization"))
		require.Equal(t, "sigstore", r.URL.Query().Get("audience"))
		require.Equal(t, "2.0", r.URL.Query().Get("api-version"), "what the URL has stays")
		fmt.Fprintf(w, `{"count":1,"value":%q}`, token)
	}))
	defer srv.Close()
	pair := secrets{credential.GitHubTokenURL: srv.URL + "/token?api-version=2.0&audience=evil\n", credential.GitHubToken: " request-token\n"}
	got, err := source(pair).Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, token, got.Raw)
	require.Equal(t, 1, asked)

	// A token that is there already is used as it is.
	pair[credential.IDToken] = token
	_, err = source(pair).Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, asked)
}

func TestTokenFromGitHubFails(t *testing.T) {
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		says   []string
	}{
		"refused":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "s3cr3t", http.StatusForbidden) }, []string{"403 Forbidden", "id-token: write", credential.GitHubToken}},
		"not JSON": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<s3cr3t>") }, []string{"answered without a token"}},
		"no value": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"s3cr3t":1}`) }, []string{"answered without a token"}},
		"half":     {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"value":"s3cr3t`) }, []string{"answered without a token"}},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"value":"`+strings.Repeat("s3cr3t", 1<<17)+`"}`)
		}, []string{"answered without a token"}},
		"no token": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"value":"s3cr3t"}`) }, []string{"not a signed JWT"}},
		"an old one": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"value":%q}`, jwt(claims(now.Add(-time.Hour), "")))
		}, []string{"expired", "1h0m0s ago"}},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, []string{"does not answer", "builder reaches it"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(row.answer)
			defer srv.Close()
			pair := secrets{credential.GitHubTokenURL: srv.URL + "/s3cr3t?s3cr3t=1", credential.GitHubToken: "s3cr3t-bearer"}
			_, err := source(pair).Token(t.Context())
			require.ErrorIs(t, err, credential.ErrToken)
			for _, words := range row.says {
				require.ErrorContains(t, err, words)
			}
			silent(t, err, pair)
		})
	}
}
