// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	maxToken      = 64 << 10 // bytes of a token, and of the answer that brings one
	githubTimeout = 30 * time.Second
)

// errExpired is the one fault of a token that may pass.
var errExpired = errors.New("expired")

type claims struct {
	Issuer string  `json:"iss"`
	Expiry float64 `json:"exp"`
}

// parse catches what can be seen without the issuer's key, because Fulcio's
// own answer would name neither the secret nor the remedy. Nothing is trusted
// for it: Fulcio verifies the token.
func (s Source) parse(raw string) (*Token, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 || len(raw) > maxToken {
		return nil, fmt.Errorf("%w: it is not a signed JWT (three parts joined by dots)", ErrToken)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, fmt.Errorf("%w: its payload is not base64url", ErrToken)
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil || c.Issuer == "" {
		return nil, fmt.Errorf("%w: its payload names no issuer", ErrToken)
	}
	expiry := time.Unix(int64(c.Expiry), 0).UTC()
	if now := s.Now(); !now.Before(expiry) {
		return nil, fmt.Errorf("%w: the token of %s %w at %s, %s ago: pass a fresh one, or pass %s and %s so that it is fetched when the build steps are done",
			ErrToken, c.Issuer, errExpired, expiry.Format(time.RFC3339), now.Sub(expiry).Round(time.Second), GitHubTokenURL, GitHubToken)
	}
	return &Token{Raw: raw}, nil
}

// fromGitHub asks GitHub Actions for a token
// (https://docs.github.com/actions/reference/openid-connect-reference).
func (s Source) fromGitHub(ctx context.Context, endpoint, bearer string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%w: the secret %s is not a URL", ErrToken, GitHubTokenURL)
	}
	q := u.Query()
	q.Set("audience", Audience)
	u.RawQuery = q.Encode()
	where := u.Scheme + "://" + u.Host

	ctx, cancel := context.WithTimeout(ctx, githubTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", fmt.Errorf("%w: the secret %s is not a URL", ErrToken, GitHubTokenURL)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := s.Client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%w: %s does not answer: check that the builder reaches it", ErrToken, where)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%w: %s answered %s: check that the job has the permission id-token: write and that %s belongs to this job", ErrToken, where, resp.Status, GitHubToken)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxToken)).Decode(&answer); err != nil || answer.Value == "" {
		return "", fmt.Errorf("%w: %s answered without a token", ErrToken, where)
	}
	return answer.Value, nil
}
