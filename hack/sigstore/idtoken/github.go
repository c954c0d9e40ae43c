// SPDX-License-Identifier: Apache-2.0

package idtoken

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"
)

// GitHubPath is where GitHubHandler answers. GitHub's URL always has a query
// (clients append "&audience=..."), so ours has one too.
const (
	GitHubPath  = "/github/token"
	GitHubQuery = "api-version=2.0"
)

// GitHubHandler answers the protocol behind ACTIONS_ID_TOKEN_REQUEST_URL: GET
// with the request token as bearer gives {"value": "<JWT>"} for the audience in
// the query.
func (s *Signer) GitHubHandler(requestToken string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+GitHubPath, func(w http.ResponseWriter, r *http.Request) {
		// RFC 9110, 11.1: "It uses a case-insensitive token to identify the
		// authentication scheme"; cosign writes "bearer".
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(given), []byte(requestToken)) != 1 {
			http.Error(w, "wrong request token; use ACTIONS_ID_TOKEN_REQUEST_TOKEN of github.env", http.StatusUnauthorized)
			return
		}
		audience := r.URL.Query().Get("audience")
		if audience == "" {
			// GitHub's default audience is the repository's owner.
			audience = "https://github.com/" + strings.Split(DefaultRepository, "/")[0]
		}
		token, err := s.Sign(kindGitHub, Request{Audience: audience})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"value": token})
	})
	return mux
}
