// SPDX-License-Identifier: Apache-2.0

package notation_test

import (
	"context"
	"crypto/x509"
	"testing"

	notationgo "github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/notation"
)

// memory is a trust store for the library's own verifier.
type memory map[truststore.Type]map[string][]*x509.Certificate

func (m memory) GetCertificates(_ context.Context, kind truststore.Type, name string) ([]*x509.Certificate, error) {
	return m[kind][name], nil
}

// upstream asks notation-go's own verifier, which reads the machine's clock
// and has neither plugins nor revocation lists here.
func upstream(t testing.TB, o notation.Options, envelope []byte, mediaType string) error {
	t.Helper()
	level := o.Level
	if level == "" {
		level = "strict"
	}
	statement := trustpolicy.TrustPolicy{
		Name:                  "test",
		RegistryScopes:        []string{"*"},
		SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: level, VerifyTimestamp: trustpolicy.TimestampOption(o.VerifyTimestamp)},
		TrustedIdentities:     o.TrustedIdentities,
	}
	stores := memory{truststore.TypeCA: o.CAs, truststore.TypeSigningAuthority: o.SigningAuthorities, truststore.TypeTSA: o.TSAs}
	for kind, named := range stores {
		for name := range named {
			statement.TrustStores = append(statement.TrustStores, string(kind)+":"+name)
		}
	}
	v, err := verifier.New(&trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{statement}}, stores, nil)
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), target, envelope, notationgo.VerifierVerifyOptions{
		ArtifactReference:  "registry.example/shop/app@" + target.Digest.String(),
		SignatureMediaType: mediaType,
	})
	return err
}
