// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/basesbom"
	"github.com/plombproject/plomb/verify/evidence"
)

// A private base image is no failure: that it is denied is an answer.
func TestBaseReaderDenied(t *testing.T) {
	sum := digest.FromString("x")
	for name, tc := range map[string]struct {
		status    int
		challenge string
		want      error
	}{
		"password":  {http.StatusUnauthorized, `Basic realm="x"`, basesbom.ErrDenied},
		"nothing":   {http.StatusUnauthorized, "", basesbom.ErrDenied},
		"forbidden": {http.StatusForbidden, "", basesbom.ErrDenied},
		"missing":   {http.StatusNotFound, "", evidence.ErrNotFound},
		"broken":    {http.StatusInternalServerError, "", evidence.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tc.challenge != "" {
					w.Header().Set("WWW-Authenticate", tc.challenge)
				}
				w.WriteHeader(tc.status)
			}))
			defer server.Close()
			read := baseReader(strings.TrimPrefix(server.URL, "http://") + "/base@" + sum.String())
			for _, kind := range []basesbom.Kind{basesbom.Manifest, basesbom.Blob} {
				_, err := read(t.Context(), kind, sum, 100)
				require.ErrorIs(t, err, tc.want)
			}
		})
	}
}
