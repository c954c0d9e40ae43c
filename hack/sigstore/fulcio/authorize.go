// SPDX-License-Identifier: Apache-2.0

package fulcio

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/sigstore/fulcio/pkg/config"
	"github.com/sigstore/fulcio/pkg/identity"
	"github.com/sigstore/fulcio/pkg/log"
)

// ErrNoKey is returned when a token reaches Fulcio outside of Handler.
var ErrNoKey = errors.New("no token key for this request")

type tokenKey struct{}

// Two variables of Fulcio's packages are set once, for good. It verifies tokens
// through the first; what replaces it finds the key in the request's context,
// so that several servers can live in one process. Its development logger
// writes to stdout, the other to stderr.
func init() {
	identity.Authorize = authorize
	log.ConfigureLogger("prod")
}

func withTokenKey(ctx context.Context, keys oidc.KeySet) context.Context {
	return context.WithValue(ctx, tokenKey{}, keys)
}

// authorize does what Fulcio does (signature, issuer, audience, validity) with
// the local key in place of the one that the issuer publishes.
func authorize(ctx context.Context, token string, opts ...config.InsecureOIDCConfigOption) (*oidc.IDToken, error) {
	keys, ok := ctx.Value(tokenKey{}).(oidc.KeySet)
	if !ok {
		return nil, ErrNoKey
	}
	issuer, err := issuerOf(token)
	if err != nil {
		return nil, err
	}
	known, ok := config.FromContext(ctx).GetIssuer(issuer)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownIssuer, issuer)
	}
	settings := &oidc.Config{ClientID: known.ClientID}
	for _, opt := range opts {
		opt(settings)
	}
	return oidc.NewVerifier(issuer, keys, settings).Verify(ctx, token)
}

// issuerOf reads the issuer that a token claims, to find out what to verify
// it against.
func issuerOf(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("identity token has %d parts, not 3", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", fmt.Errorf("identity token: %w", err)
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "", fmt.Errorf("identity token: %w", err)
	}
	return claims.Issuer, nil
}
