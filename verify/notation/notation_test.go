// SPDX-License-Identifier: Apache-2.0

package notation_test

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/notation"
	"github.com/plombproject/plomb/verify/verifytest"
)

const release = "x509.subject: C=US, ST=WA, O=plomb, CN=release"

var target = ocispec.Descriptor{
	MediaType: ocispec.MediaTypeImageManifest,
	Digest:    document.Digest([]byte("image")),
	Size:      5,
}

// rsaKeys are made once: the large ones take a second.
var rsaKeys = struct {
	sync.Mutex
	byBits map[int]crypto.Signer
}{byBits: map[int]crypto.Signer{}}

func key(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	rsaKeys.Lock()
	defer rsaKeys.Unlock()
	if rsaKeys.byBits[bits] == nil {
		rsaKeys.byBits[bits] = verifytest.NotationKey(t, bits)
	}
	return rsaKeys.byBits[bits]
}

type store = map[string][]*x509.Certificate

// options trust n for both schemes, without timestamps.
func options(n *verifytest.Notary) notation.Options {
	return notation.Options{
		TrustedIdentities:  []string{release},
		CAs:                store{"acme": n.CA()},
		SigningAuthorities: store{"acme-sa": n.CA()},
	}
}

func verify(t testing.TB, o notation.Options, envelope []byte, mediaType string, now time.Time) (*notation.Verified, error) {
	t.Helper()
	v, err := notation.NewVerifier(o)
	require.NoError(t, err)
	return v.Verify(t.Context(), envelope, mediaType, now)
}

var mediaTypes = []string{verifytest.NotationJWS, verifytest.NotationCOSE}

// Both envelopes, every algorithm, every way to know the time.
func TestVerify(t *testing.T) {
	n := verifytest.NewNotary(t)
	now := time.Now().Truncate(time.Second)
	for _, mediaType := range mediaTypes {
		for _, bits := range []int{2048, 3072, 256, 384, 521} {
			for _, clock := range []string{"none", "timestamp", "signingAuthority"} {
				t.Run(fmt.Sprintf("%s/%d/%s", mediaType, bits, clock), func(t *testing.T) {
					o := options(n)
					want := &notation.Verified{
						Target:      target,
						Annotations: map[string]string{"stage": "prod"},
						Signer:      claim.Signer{X509: "CN=release,O=plomb,ST=WA,C=US", TrustStore: "ca:acme", Serial: "2a"},
						SignedAfter: now.UTC(),
					}
					want.Target.Annotations = want.Annotations
					sign := verifytest.NotationOptions{
						MediaType: mediaType, Key: key(t, bits), SignedAt: now, Annotations: want.Annotations, Serial: big.NewInt(42),
					}
					switch clock {
					case "timestamp":
						o.TSAs = store{"tsa": n.TSA()}
						sign.Timestamp, want.SignedAt = n, now.UTC()
					case "signingAuthority":
						sign.SigningAuthority, want.SignedAt = true, now.UTC()
						want.Signer.TrustStore = "signingAuthority:acme-sa"
					}
					got, err := verify(t, o, n.Notation(t, target, sign), mediaType, now)
					require.NoError(t, err)
					require.Equal(t, want, got)
				})
			}
		}
	}
}
