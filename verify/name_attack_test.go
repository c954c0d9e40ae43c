// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/verifytest"
)

// TestSpellingsOfAHost: who starts a container chooses how to write the
// registry. Another spelling of the same host does not leave the policy that is
// about it, where a laxer one is about everything else.
func TestSpellingsOfAHost(t *testing.T) {
	s := newStand(t)
	img := s.attached(verifytest.BundleOptions{Subject: "https://github.com/mallory"})
	strict := strings.Replace(keyless(verifytest.Issuer, verifytest.Subject), `"**"`, `"registry.example/**"`, 1)
	lax := imagePolicy("lax", "static: {action: pass}", "")
	s.policy = s.load(strict, lax)
	for _, host := range []string{"registry.example", "Registry.Example", "registry.example:443", "REGISTRY.EXAMPLE:443"} {
		req := s.request(img.Index)
		req.Name = host + "/shop/app:v1"
		req.Location = evidence.NewRegistry(s.registry+"/app:v1", evidence.RegistryOptions{})
		d := verify.Verify(context.Background(), req)
		require.Equal(t, decision.Deny, d.Verdict, "%s: %s", host, d.Line())
	}
}
