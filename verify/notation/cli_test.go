// SPDX-License-Identifier: Apache-2.0

package notation_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/notation"
	"github.com/plombproject/plomb/verify/verifytest"
)

// What the Notary Project's own tool writes.
func TestSignaturesOfTheTool(t *testing.T) {
	dir := filepath.Join("testdata", "notation-v1.3.2")
	certificate, err := os.ReadFile(filepath.Join(dir, "release.crt"))
	require.NoError(t, err)
	certs, err := notation.ParseCertificates(certificate)
	require.NoError(t, err)
	o := notation.Options{
		TrustedIdentities: []string{"x509.subject: C=US, ST=WA, L=Seattle, O=Notary, CN=release.plomb.test"},
		CAs:               store{"release": certs},
	}
	day := time.Date(2026, time.November, 22, 20, 0, 0, 0, time.UTC)
	for file, mediaType := range map[string]string{"signature.jws": verifytest.NotationJWS, "signature.cose": verifytest.NotationCOSE} {
		t.Run(file, func(t *testing.T) {
			envelope, err := os.ReadFile(filepath.Join(dir, file))
			require.NoError(t, err)
			got, err := verify(t, o, envelope, mediaType, day)
			require.NoError(t, err)
			annotations := map[string]string{"stage": "prod"}
			require.Equal(t, ocispec.Descriptor{
				MediaType:   ocispec.MediaTypeImageManifest,
				Digest:      digest.Digest("sha256:f20c43161d73848408ef247f0ec7111b19fe58ffebc0cbcaa0d2c8bda4967268"),
				Size:        246,
				Annotations: annotations,
			}, got.Target)
			require.Equal(t, annotations, got.Annotations)
			require.Equal(t, "CN=release.plomb.test,O=Notary,L=Seattle,ST=WA,C=US", got.Signer.X509)
			require.Equal(t, "ca:release", got.Signer.TrustStore)

			_, err = verify(t, o, envelope, mediaType, day.AddDate(0, 0, 2))
			require.ErrorIs(t, err, notation.ErrExpired)
		})
	}
}
