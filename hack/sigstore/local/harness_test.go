// SPDX-License-Identifier: Apache-2.0

package local_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/hack/sigstore/idtoken"
	"github.com/plombproject/plomb/hack/sigstore/local"
)

const statement = `{"_type":"https://in-toto.io/Statement/v1",` +
	`"subject":[{"name":"image-id","digest":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}],` +
	`"predicateType":"https://slsa.dev/provenance/v1","predicate":{}}`

// start runs a Sigstore until the test ends.
func start(t testing.TB, dir string, change ...func(*local.Options)) *local.Server {
	t.Helper()
	opts := local.Options{Dir: dir, Listen: "127.0.0.1:0", Now: time.Now}
	for _, c := range change {
		c(&opts)
	}
	server, err := local.Start(context.Background(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return server
}

func token(t testing.TB, dir string, request idtoken.Request) string {
	t.Helper()
	token, err := local.Token(dir, request, time.Now)
	require.NoError(t, err)
	return token
}

// signStatement signs the way plomb does: sigstore-go with the services that
// the signing config in dir names.
func signStatement(t testing.TB, dir, token string, change ...func(*sign.BundleOptions)) (*bundle.Bundle, error) {
	t.Helper()
	config, err := root.NewSigningConfigFromPath(filepath.Join(dir, local.SigningConfigFile))
	require.NoError(t, err)
	now := time.Now()
	fulcio, err := root.SelectService(config.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now)
	require.NoError(t, err)
	logs, err := root.SelectServices(config.RekorLogURLs(), config.RekorLogURLsConfig(), sign.RekorAPIVersions, now)
	require.NoError(t, err)
	stamps, err := root.SelectServices(config.TimestampAuthorityURLs(), config.TimestampAuthorityURLsConfig(), sign.TimestampAuthorityAPIVersions, now)
	require.NoError(t, err)

	keypair, err := sign.NewEphemeralKeypair(nil)
	require.NoError(t, err)
	opts := sign.BundleOptions{
		Context:                    t.Context(),
		CertificateProvider:        sign.NewFulcio(&sign.FulcioOptions{BaseURL: fulcio.URL}),
		CertificateProviderOptions: &sign.CertificateProviderOptions{IDToken: token},
	}
	for _, log := range logs {
		opts.TransparencyLogs = append(opts.TransparencyLogs, sign.NewRekor(&sign.RekorOptions{BaseURL: log.URL, Version: log.MajorAPIVersion}))
	}
	for _, tsa := range stamps {
		opts.TimestampAuthorities = append(opts.TimestampAuthorities, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: tsa.URL}))
	}
	for _, c := range change {
		c(&opts)
	}
	content := &sign.DSSEData{Data: []byte(statement), PayloadType: "application/vnd.in-toto+json"}
	made, err := sign.Bundle(content, keypair, opts)
	if err != nil {
		return nil, err
	}
	b, err := bundle.NewBundle(made)
	require.NoError(t, err)
	return b, nil
}

// verifyBundle asks for everything: SCT, log entry, timestamp and identity.
func verifyBundle(t testing.TB, dir string, b *bundle.Bundle, issuer, san string) (*verify.VerificationResult, error) {
	t.Helper()
	trusted, err := root.NewTrustedRootFromPath(filepath.Join(dir, local.TrustedRootFile))
	require.NoError(t, err)
	verifier, err := verify.NewVerifier(trusted,
		verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1), verify.WithSignedTimestamps(1))
	require.NoError(t, err)
	identity, err := verify.NewShortCertificateIdentity(issuer, "", san, "")
	require.NoError(t, err)
	return verifier.Verify(b, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithCertificateIdentity(identity)))
}
