// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy"
)

const (
	vuln       = "https://cosign.sigstore.dev/attestation/vuln/v1"
	spdx       = "https://spdx.dev/Document"
	provenance = "https://slsa.dev/provenance/v1"
)

var (
	errNotThere    = errors.New("not there")
	errUnreachable = errors.New("no answer")
)

// evidence is what tests know about a manifest.
type evidence struct {
	// claims are those under any trust but those in others.
	claims []claim.Claim
	others map[string][]claim.Claim
	config string
	// byproducts are by predicate type.
	byproducts map[string]string
	err        error
}

func (e evidence) Claims(t policy.Trust) []claim.Claim {
	if claims, ok := e.others[t.ID()]; ok {
		return claims
	}
	return e.claims
}

func (e evidence) Config(context.Context) ([]byte, error) { return []byte(e.config), e.err }

func (e evidence) Byproducts(_ context.Context, _ claim.Claim, predicateType string) ([][]byte, error) {
	if text, ok := e.byproducts[predicateType]; ok {
		return [][]byte{[]byte(text)}, nil
	}
	return nil, errors.Join(errNotThere, e.err)
}

func (evidence) Material(context.Context, string, digest.Digest, string) error { return errNotThere }

var (
	release = claim.Signer{
		Issuer: "https://issuer.example", Subject: "https://github.com/shop/app",
		Authorities: []string{"https://fulcio.example"},
		Extensions:  map[string]string{"githubWorkflowRef": "refs/heads/main", "githubWorkflowSHA": "abc"},
	}
	mallory = claim.Signer{Issuer: "https://issuer.example", Subject: "https://github.com/mallory/app", Authorities: []string{"https://fulcio.example"}}
)

func signature(s claim.Signer) claim.Claim {
	return claim.Claim{Kind: claim.Signature, Format: claim.Bundle, Scope: claim.Index, Signer: s, Evidence: digest.FromString(s.String())}
}

func attestation(s claim.Signer, predicateType, predicate string) claim.Claim {
	statement := fmt.Sprintf(`{"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": %q, "predicate": %s}`, predicateType, predicate)
	c := claim.Claim{
		Kind: claim.Attestation, Format: claim.Bundle, Scope: claim.Index, Signer: s, Evidence: digest.FromString(statement),
		PredicateType: predicateType, Statement: []byte(statement), Predicate: []byte(predicate),
	}
	if predicateType == provenance {
		c.Kind = claim.Signature
	}
	return c
}

// newKey makes a key pair: the public key in PEM and who signs with it.
func newKey(t *testing.T) (string, claim.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return text, claim.Signer{Key: digest.FromBytes(der)}
}

// one parses a policy of which spec is given, indented by two.
func one(t *testing.T, spec string) *policy.Policy {
	t.Helper()
	set := load(t, document(spec))
	require.Len(t, set.Policies(), 1)
	return &set.Policies()[0]
}

func document(spec string) string {
	return "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: demo}\nspec:\n  images: [{glob: \"**\"}]\n" + spec + "\n"
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+by) + "\n"
}

var theCase = policy.Case{
	Name: "registry.example/shop/app:v1", Digest: dgst, Manifest: digest.FromString("manifest"),
	ImageID: digest.FromString("config"), Now: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
}

// judge wants the policy satisfied if no error is given, and otherwise refused
// for that reason.
func judge(t *testing.T, p *policy.Policy, e policy.Evidence, want error, text string) policy.Judgement {
	t.Helper()
	j := p.Judge(context.Background(), theCase, e)
	if want == nil {
		require.True(t, j.Satisfied(), "%v", j.Reasons)
		require.Empty(t, j.Reasons)
		return j
	}
	require.False(t, j.Satisfied())
	require.Empty(t, j.Claims)
	err := errors.Join(j.Reasons...)
	require.ErrorIs(t, err, want)
	require.ErrorContains(t, err, text)
	for _, r := range j.Reasons {
		require.NotContains(t, r.Error(), "\n")
	}
	return j
}
