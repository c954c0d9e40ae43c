// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/verifytest"
)

// A registry that wants a password gets the one that docker login stored.
func TestAttachWithCredentials(t *testing.T) {
	store, sigstore := verifytest.NewStore(), verifytest.NewSigstore(t)
	store.Tag("v1", store.Image(t, verifytest.ImageOptions{Bundle: func(subjects []provenance.Subject) []byte {
		return sigstore.Bundle(t, verifytest.Statement(t, subjects), verifytest.BundleOptions{})
	}}).Index)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ann" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		store.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")

	for password, want := range map[string]int{"secret": exitAllow, "wrong": exitUndecided} {
		dir := t.TempDir()
		auth := base64.StdEncoding.EncodeToString([]byte("ann:" + password))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, auth), 0o600))
		var out, log bytes.Buffer
		got := Main(t.Context(), []string{"attach", "--hosts-dir", dir, host + "/app:v1"}, Stdio{
			In: &bytes.Buffer{}, Out: &out, Err: &log,
			Getenv: func(name string) string { return map[string]string{"DOCKER_CONFIG": dir}[name] },
		})
		require.Equal(t, want, got, out.String()+log.String())
		if want == exitAllow {
			require.Contains(t, out.String(), "attached")
		} else {
			require.Contains(t, log.String(), "registry denies access")
		}
	}
	require.NotEmpty(t, store.Writes())
}
