// SPDX-License-Identifier: Apache-2.0

// Package idtoken makes OpenID Connect identity tokens as CI systems and
// identity providers give them to their users, signed with a local key.
//
// The claims of each kind of issuer are those that Fulcio's production
// configuration turns into certificate extensions; GitHub's also carries the
// rest of what GitHub documents. Verification is Fulcio's business.
package idtoken

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/plombproject/plomb/hack/sigstore/keys"
)

// Defaults of a Request. DefaultSHA is no commit of anything.
const (
	DefaultIssuer     = "https://token.actions.githubusercontent.com"
	DefaultAudience   = "sigstore"
	DefaultRepository = "plombproject/demo"
	DefaultRef        = "refs/heads/main"
	DefaultSHA        = "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed"
	DefaultLifetime   = 10 * time.Minute
)

// ErrKey is returned for a key that cannot sign tokens.
var ErrKey = errors.New("identity tokens need an RSA key")

// rsaBits is the size of GitHub's signing keys.
const rsaBits = 2048

// Request describes a token; empty fields have the defaults above.
type Request struct {
	Issuer     string
	Audience   string
	Repository string // owner/name
	Workflow   string // path of the workflow or pipeline file
	Ref        string // full Git reference
	SHA        string // commit, 40 hexadecimal digits
	Subject    string // overrides sub; for e-mail issuers also the address
	// Lifetime counts from now; a negative one gives a token that expired
	// that long ago.
	Lifetime time.Duration
	// Claims are set last, over all others.
	Claims map[string]any
}

// NewPair makes a token key.
func NewPair() (keys.Pair, error) {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	return keys.Pair{Signer: key}, err
}

// Signer signs tokens for any issuer.
type Signer struct {
	jose jose.Signer
	now  func() time.Time
}

// NewSigner signs with RS256, the only algorithm that every verifier accepts
// without being told.
func NewSigner(key crypto.Signer, now func() time.Time) (*Signer, error) {
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w, not a %T", ErrKey, key)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: private}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("token signer: %w", err)
	}
	return &Signer{jose: signer, now: now}, nil
}

// Sign makes a token with the claims of the given kind of issuer.
func (s *Signer) Sign(kind string, request Request) (string, error) {
	request = request.withDefaults(kind)
	claims, err := claimsOf(kind, request)
	if err != nil {
		return "", err
	}
	s.stamp(claims, request)
	maps.Copy(claims, request.Claims)
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	signed, err := s.jose.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign identity token: %w", err)
	}
	return signed.CompactSerialize()
}

func (s *Signer) stamp(claims map[string]any, request Request) {
	now := s.now()
	expires, issued := now.Add(request.Lifetime), now
	if request.Lifetime < 0 {
		// An expired token was once valid.
		issued = expires.Add(-DefaultLifetime)
	}
	claims["iss"] = request.Issuer
	claims["aud"] = request.Audience
	claims["jti"] = rand.Text()
	claims["iat"] = issued.Unix()
	claims["nbf"] = issued.Unix()
	claims["exp"] = expires.Unix()
	if request.Subject != "" {
		claims["sub"] = request.Subject
	}
}

func (r Request) withDefaults(kind string) Request {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&r.Issuer, DefaultIssuer)
	set(&r.Audience, DefaultAudience)
	set(&r.Repository, DefaultRepository)
	set(&r.Ref, DefaultRef)
	set(&r.SHA, DefaultSHA)
	set(&r.Workflow, workflowOf(kind))
	if r.Lifetime == 0 {
		r.Lifetime = DefaultLifetime
	}
	return r
}
