// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var now = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

var idToken = strings.Join([]string{
	base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)),
	base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://issuer.example","sub":"me","email":"me@example.com","email_verified":true}`)),
	base64.RawURLEncoding.EncodeToString([]byte("the secret signature")),
}, ".")

// config writes a signing config; a service of "" is left out.
func config(ca, tsa, log string) []byte {
	entry := func(url string) string {
		if url == "" {
			return ""
		}
		return fmt.Sprintf(`{"url":%q,"majorApiVersion":1,"validFor":{"start":"2024-01-01T00:00:00Z","end":"2025-01-01T00:00:00Z"},"operator":"o"}`, url)
	}
	return fmt.Appendf(nil, `{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[%s],"oidcUrls":[],"rekorTlogUrls":[%s],"tsaUrls":[%s],"rekorTlogConfig":{"selector":"ANY"},"tsaConfig":{"selector":"ANY"}}`,
		entry(ca), entry(log), entry(tsa))
}

func TestLoadServices(t *testing.T) {
	_, err := LoadServices(config("https://ca", "https://tsa", "https://log"), nil)
	require.NoError(t, err)
	for name, row := range map[string]struct{ config, root, says string }{
		"no config":                      {"", "", "signing_config.json"},
		"not JSON":                       {"{", "", "signing_config.json"},
		"empty object":                   {"{}", "", "media type"},
		"old media type":                 {strings.Replace(string(config("https://ca", "", "")), "v0.2", "v0.1", 1), "", "v0.1"},
		"a trusted root of its own kind": {`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`, "", "signing_config.json"},
		"logs without a selector":        {strings.Replace(string(config("https://ca", "", "https://log")), `"rekorTlogConfig":{"selector":"ANY"},`, "", 1), "", "rekorTlogConfig"},
		"timestamps without a selector":  {strings.Replace(string(config("https://ca", "https://tsa", "")), `,"tsaConfig":{"selector":"ANY"}`, "", 1), "", "tsaConfig"},
		"broken trusted root":            {string(config("https://ca", "https://tsa", "")), "{", "trusted_root.json"},
		"config as root":                 {string(config("https://ca", "https://tsa", "")), string(config("https://ca", "", "")), "trusted_root.json"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadServices([]byte(row.config), []byte(row.root))
			require.ErrorIs(t, err, ErrSigningConfig)
			require.ErrorContains(t, err, row.says)
		})
	}
}

// A config that names no log and no timestamp authority needs no selectors.
func TestServicesWithoutWitnesses(t *testing.T) {
	text := string(config("https://ca", "", ""))
	text = strings.Replace(text, `,"rekorTlogConfig":{"selector":"ANY"},"tsaConfig":{"selector":"ANY"}`, "", 1)
	s, err := LoadServices([]byte(text), nil)
	require.NoError(t, err)
	opts, err := s.witnesses(time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Empty(t, opts.TransparencyLogs)
	require.Empty(t, opts.TimestampAuthorities)
}

func TestCertifyNeedsServices(t *testing.T) {
	for name, row := range map[string]struct {
		ca, tsa, log string
		when         time.Time
		says         string
	}{
		"no certificate authority": {"", "https://tsa", "https://log", now, "certificate authorities"},
		"neither log nor TSA":      {"https://ca", "", "", now, "neither a transparency log nor a timestamp authority"},
		"not yet":                  {"https://ca", "https://tsa", "", now.AddDate(-1, 0, 0), "certificate authorities"},
		"no longer":                {"https://ca", "https://tsa", "https://log", now.AddDate(1, 0, 0), "certificate authorities"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := LoadServices(config(row.ca, row.tsa, row.log), nil)
			require.NoError(t, err)
			_, err = s.Certify(t.Context(), idToken, row.when)
			require.ErrorIs(t, err, ErrSigningConfig)
			require.ErrorContains(t, err, row.says)
			require.NotContains(t, err.Error(), idToken)
		})
	}
}

// What the certificate authority answers, and how Certify then fails. It names
// service, URL and remedy, and never tells the token, not even where the other
// side sends it back.
func TestCertifyFailsInPlainWords(t *testing.T) {
	echo := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s you sent %v and %s", strings.Repeat("z", maxErrorBody-60), r.Header["Authorization"], body)
		}
	}
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"refuses the token":      {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad audience", http.StatusUnauthorized) }, "it answered 401 Unauthorized: bad audience"},
		"sends the token back":   {echo(400), "400 Bad Request"},
		"a page of another kind": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "invalid character"},
		"no certificate":         {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }, "no certificates"},
		"takes it with thanks":   {echo(200), "invalid character"},
		"created, not OK":        {echo(201), "201"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(row.answer)
			defer srv.Close()
			s, err := LoadServices(config(srv.URL, "https://tsa.invalid", ""), nil)
			require.NoError(t, err)
			_, err = s.Certify(t.Context(), idToken, now)
			require.ErrorIs(t, err, ErrService)
			require.ErrorContains(t, err, "certificate authority (Fulcio) at "+srv.URL+": ")
			require.ErrorContains(t, err, row.says)
			require.True(t, strings.HasSuffix(err.Error(), fulcioRemedy), err.Error())
			require.NotContains(t, err.Error(), idToken[:len(idToken)-5])
			require.NotContains(t, err.Error(), strings.Split(idToken, ".")[1][:20], "not even a part of it")
		})
	}
}

func TestExplain(t *testing.T) {
	failed := quick("https://service.example").failure(errors.New("cause"))
	wrapped := fmt.Errorf("post: %w", fmt.Errorf("again: %w", failed))
	require.Equal(t, failed, explain(wrapped), "without what libraries put in front")

	err := explain(errors.New("no matching key"))
	require.ErrorIs(t, err, ErrSelfCheck)
	require.ErrorContains(t, err, "no matching key")
	require.ErrorContains(t, err, "belong together")
}

func TestServiceErrorsHideTokens(t *testing.T) {
	spaced := base64.RawURLEncoding.EncodeToString([]byte(`{ "alg": "RS256" }`)) + "." + strings.Split(idToken, ".")[1] + ".sig"
	lines := base64.RawURLEncoding.EncodeToString([]byte("{\n\"alg\": \"RS256\" }")) + "." + strings.Split(idToken, ".")[1] + ".sig"
	for _, secret := range []string{idToken, idToken[:len(idToken)/2], spaced, lines} {
		for _, around := range []string{"%s", "Bearer %s", `{"token":"%s"}`, "a %s b %[1]s", "token=%s&x"} {
			err := quick("https://service.example").failure(fmt.Errorf(around, secret))
			require.NotContains(t, err.Error(), secret[len(secret)-12:], around)
			require.Contains(t, err.Error(), "[token]")
		}
	}
	err := quick("https://service.example").failure(errors.New("eyes on key.pem, they say: ewe"))
	require.ErrorContains(t, err, "eyes on key.pem, they say: ewe")
}
