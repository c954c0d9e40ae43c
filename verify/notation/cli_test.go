// SPDX-License-Identifier: Apache-2.0

package notation_test

import (
	"crypto/x509"
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
	read := func(file string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", "notation-v1.3.2", file))
		require.NoError(t, err)
		return data
	}
	certificates := func(file string) []*x509.Certificate {
		certs, err := notation.ParseCertificates(read(file))
		require.NoError(t, err)
		return certs
	}
	plain := notation.Options{
		TrustedIdentities: []string{"x509.subject: C=US, ST=WA, L=Seattle, O=Notary, CN=release.plomb.test"},
		CAs:               store{"release": certificates("release.crt")},
	}
	stamped := plain
	stamped.TSAs = store{"sigstore": certificates("tsa.crt")}
	day := time.Date(2026, time.November, 22, 20, 0, 0, 0, time.UTC)
	later := day.AddDate(1, 0, 0)
	for _, c := range []struct {
		file, mediaType string
		options         notation.Options
		now             time.Time
		want            error
	}{
		{"signature.jws", verifytest.NotationJWS, plain, day, nil},
		{"signature.jws", verifytest.NotationJWS, plain, later, notation.ErrExpired},
		{"signature.jws", verifytest.NotationJWS, stamped, day, notation.ErrTimestamp},
		{"signature.cose", verifytest.NotationCOSE, plain, day, nil},
		{"signature.cose", verifytest.NotationCOSE, plain, later, notation.ErrExpired},
		{"stamped.jws", verifytest.NotationJWS, stamped, later, nil},
		{"stamped.jws", verifytest.NotationJWS, plain, later, notation.ErrValidity},
		{"stamped.cose", verifytest.NotationCOSE, stamped, later, nil},
		{"stamped.cose", verifytest.NotationCOSE, plain, later, notation.ErrValidity},
	} {
		got, err := verify(t, c.options, read(c.file), c.mediaType, c.now)
		require.ErrorIs(t, err, c.want, c.file)
		if c.want != nil {
			continue
		}
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
		require.Equal(t, len(c.options.TSAs) > 0, !got.SignedAt.IsZero(), c.file)
	}
}
