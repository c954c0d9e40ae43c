// SPDX-License-Identifier: Apache-2.0

package idtoken

import (
	"crypto/ed25519"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// payload is what the token says, without looking at its signature.
func payload(t *testing.T, token string) map[string]any {
	t.Helper()
	parsed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(parsed.UnsafePayloadWithoutVerification(), &claims))
	return claims
}

func TestValidity(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	pair, err := NewPair()
	require.NoError(t, err)
	signer, err := NewSigner(pair.Signer, func() time.Time { return now })
	require.NoError(t, err)
	for name, c := range map[string]struct {
		lifetime     time.Duration
		from, expiry time.Duration
	}{
		"default": {0, 0, DefaultLifetime},
		"chosen":  {time.Hour, 0, time.Hour},
		"expired": {-time.Minute, -time.Minute - DefaultLifetime, -time.Minute},
	} {
		token, err := signer.Sign(kindGitHub, Request{Lifetime: c.lifetime})
		require.NoError(t, err)
		claims := payload(t, token)
		require.EqualValues(t, now.Add(c.from).Unix(), claims["nbf"], name)
		require.EqualValues(t, now.Add(c.expiry).Unix(), claims["exp"], name)
	}
}

func TestClaimsOverrideAll(t *testing.T) {
	pair, err := NewPair()
	require.NoError(t, err)
	signer, err := NewSigner(pair.Signer, time.Now)
	require.NoError(t, err)
	token, err := signer.Sign(kindGitHub, Request{
		Subject: "someone",
		Claims:  map[string]any{"runner_environment": "self-hosted", "aud": "elsewhere"},
	})
	require.NoError(t, err)
	claims := payload(t, token)
	require.Equal(t, "someone", claims["sub"])
	require.Equal(t, "self-hosted", claims["runner_environment"])
	require.Equal(t, "elsewhere", claims["aud"])
	require.Equal(t, DefaultRepository, claims["repository"])
}

func TestRefusals(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	_, err = NewSigner(key, time.Now)
	require.ErrorIs(t, err, ErrKey)

	pair, err := NewPair()
	require.NoError(t, err)
	signer, err := NewSigner(pair.Signer, time.Now)
	require.NoError(t, err)
	for _, repository := range []string{"app", "/app", "acme/"} {
		_, err := signer.Sign(kindGitHub, Request{Repository: repository})
		require.ErrorIs(t, err, ErrRepository, repository)
	}
}
