// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/verifytest"
)

// TestCheckTrustOfNotation: what no machine could verify under is a fault of the
// policy, and said before a node has to.
func TestCheckTrustOfNotation(t *testing.T) {
	s := newStand(t)
	notary := verifytest.NewNotary(t)
	certificates := "      certificates: " + block(verifytest.PEM(notary.CA()...), "        ")
	document := func(identity, rest string) string {
		return imagePolicy("notation", fmt.Sprintf("notation:\n      trustedIdentities: [%s]\n", identity)+rest, "")
	}
	const acme = `"x509.subject:C=US,ST=WA,O=Acme"`
	stores := func(list string) string { return "      trustStores: [" + list + "]\n" }
	for _, sound := range []string{
		document(acme, stores(`"ca:acme"`)), document(acme, stores(`"signingAuthority:acme", "tsa:acme"`)),
		document(`"*"`, certificates), document(acme, stores(`"tsa:acme"`)+certificates),
	} {
		require.Empty(t, verify.CheckTrust(s.load(sound), time.Now()))
	}
	img := s.sealed(notary, verifytest.NotationOptions{})
	key := verifytest.NewKey(t, "p256")
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	for name, c := range map[string]struct{ document, says, code string }{
		"name without C and ST":  {document(`"x509.subject:O=Acme"`, certificates), "C, ST and O have to be there", "notation-policy"},
		"plugin's identity":      {document(`"aws.signer:x"`, certificates), `"aws.signer:x"`, "notation-policy"},
		"anybody and somebody":   {document(`"*", `+acme, certificates), "the only one", "notation-policy"},
		"unknown type of store":  {document(acme, stores(`"cax:acme"`)), `"cax:acme"; want ca:NAME`, "trust-store"},
		"store elsewhere":        {document(acme, stores(`"ca:../acme"`)), "want ca:NAME", "trust-store"},
		"stores of clocks alone": {document(acme, stores(`"tsa:acme"`)), "nobody could be trusted", "trust-store"},
		"no authority as a clock": {document(acme, certificates+"      timestampCertificates: "+block(verifytest.PEM(leaf), "        ")),
			"not the certificate of a root authority", "trust-store"},
	} {
		t.Run(name, func(t *testing.T) {
			s.policy = s.load(c.document)
			faults := verify.CheckTrust(s.policy, time.Now())
			require.Len(t, faults, 1)
			require.ErrorContains(t, faults[0], c.says)
			require.ErrorContains(t, faults[0], "policy notation")
			refuse(t, s.verify(img.Index), decision.Undecided, c.code, "")
		})
	}
}
