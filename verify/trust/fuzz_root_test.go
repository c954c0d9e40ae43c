// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// FuzzParseRoot: a trusted root is refused as one, or makes a verifier that can
// be asked.
func FuzzParseRoot(f *testing.F) {
	authority, strangers := verifytest.NewSigstore(f), verifytest.NewSigstore(f)
	good := authority.TrustedRoot(f, verifytest.RootOptions{})
	bundle := authority.Bundle(f, verifytest.Statement(f, []provenance.Subject{{Name: "image-id"}}), verifytest.BundleOptions{})
	f.Add(good)
	f.Add(strangers.TrustedRoot(f, verifytest.RootOptions{}))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[],"certificateAuthorities":[]}`))
	f.Add([]byte(strings.Replace(string(good), `"start"`, `"end"`, 1)))
	f.Add([]byte(strings.Replace(string(good), `"tlogs"`, `"tlogs":[],"ctlogs"`, 1)))
	f.Add([]byte(`{"tlogs":[{"publicKey":{"rawBytes":"AAAA","keyDetails":"PKIX_ECDSA_P256_SHA_256","validFor":{}}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		root, err := trust.Decode(data)
		if err != nil {
			require.ErrorIs(t, err, trust.ErrRoot)
			return
		}
		_, complete := trust.Parse(data)
		v, err := trust.NewVerifier(trust.Options{Root: root})
		if err != nil {
			require.ErrorIs(t, err, trust.ErrRoot)
			require.Error(t, complete)
			return
		}
		_, _ = v.Verify(trust.Input{Bundle: bundle}, time.Now())
	})
}
