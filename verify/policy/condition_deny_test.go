// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/claim"
)

func TestDeny(t *testing.T) {
	key := digest.FromString("key")
	window := "  deny: {identities: [{issuer: '" + githubIssuer + "', subjectRegExp: '^https://github\\.com/shop/', from: '2026-05-01T00:00:00Z', until: '2026-05-10T00:00:00Z', reason: stolen runner}]}\n"
	inside := signed(func(c *claim.Claim) { c.SignedAt = time.Date(2026, 5, 9, 0, 0, 0, 0, time.UTC) })
	untimed := signed(func(c *claim.Claim) { c.SignedAt = time.Time{} })
	scan := stated(predicateVuln, "{}")
	scan.SignedAt = inside.SignedAt
	digests := func(d digest.Digest) string {
		return "  deny: {digests: [{digest: '" + d.String() + "', reason: backdoor}]}\n"
	}
	runAll(t, []trial{
		{name: "index", fields: digests(index), claims: []claim.Claim{signed(nil)}, want: ErrDenied, says: "(backdoor)"},
		{name: "manifest", fields: digests(image), claims: []claim.Claim{signed(nil)}, want: ErrDenied},
		{name: "image id, however it is packed", fields: digests(config), claims: []claim.Claim{signed(nil)}, want: ErrDenied},
		{name: "another digest", fields: digests(digest.FromString("x")), claims: []claim.Claim{signed(nil)}},
		{name: "outer index", fields: digests(digest.FromString("outer")), claims: []claim.Claim{signed(nil)},
			change: func(c *Case) { c.Digest = digest.FromString("outer") }, want: ErrDenied},

		{name: "signed within the window", fields: window, claims: []claim.Claim{inside}, want: ErrDenied, says: "stolen runner"},
		{name: "signed after the window", fields: window, claims: []claim.Claim{signed(nil)}},
		{name: "signed in it and again after it", fields: window, claims: []claim.Claim{inside, signed(nil)}},
		{name: "back-dated, without a trusted time", fields: window, claims: []claim.Claim{untimed}, want: ErrDenied, says: "at an unknown time"},
		{name: "on the first instant", fields: window, claims: []claim.Claim{signed(func(c *claim.Claim) { c.SignedAt = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC) })}, want: ErrDenied},
		{name: "in the window and stamped anew after it", fields: window, claims: []claim.Claim{signed(func(c *claim.Claim) {
			c.SignedAt, c.SignedAfter = time.Date(2026, 5, 15, 0, 0, 0, 0, time.UTC), time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)
		})}, want: ErrDenied},
		{name: "on the last", fields: window, claims: []claim.Claim{signed(func(c *claim.Claim) { c.SignedAt = time.Date(2026, 5, 10, 0, 1, 0, 0, time.UTC) })}},
		{name: "always", fields: "  deny: {identities: [{subject: '" + release + "'}]}\n", claims: []claim.Claim{signed(nil)}, want: ErrDenied},
		{name: "another issuer", fields: "  deny: {identities: [{issuer: 'https://accounts.example', subject: '" + release + "'}]}\n", claims: []claim.Claim{signed(nil)}},
		{name: "what a denied signer attests does not count", fields: window + "  freshness: {scan: 30d}\n", claims: []claim.Claim{signed(nil), scan}, want: ErrNoTime, says: "none of 0"},

		{name: "serial", fields: "  deny: {serials: [{serial: '00:0A:1B'}]}\n", claims: []claim.Claim{signed(nil)}, want: ErrDenied, says: "certificate 0a1b"},
		{name: "another serial", fields: "  deny: {serials: [{serial: '0a1b00'}]}\n", claims: []claim.Claim{signed(nil)}},
		{name: "never excepted", fields: digests(config) + "  rules: [{name: r, cel: 'true'}]\n  exceptions: [{image: '**', conditions: [r], reason: a, expires: '2027-01-01T00:00:00Z'}]\n",
			claims: []claim.Claim{signed(nil)}, want: ErrDenied},
	})

	// A key needs a keyed authority; the condition itself is asked here.
	p := loadPolicy(t, "  deny: {keys: [{key: "+key.Encoded()+", reason: lost}], identities: [{subject: x}], serials: [{serial: '1'}]}\n")
	keyed := claim.Claim{Kind: claim.Signature, Signer: claim.Signer{Key: key}}
	welcome, reasons := sift(p.conditions, []claim.Claim{keyed, signed(nil)})
	if len(welcome) != 1 || len(reasons) != 1 || !strings.Contains(reasons[0].Error(), "(lost)") || !strings.Contains(reasons[0].Error(), "deny (p.yaml:13)") {
		t.Error(welcome, reasons)
	}
	keyed.Signer.Key = digest.FromString("another")
	if welcome, _ := sift(p.conditions, []claim.Claim{keyed}); len(welcome) != 1 {
		t.Error("another key is welcome")
	}
}

func TestLazyLayers(t *testing.T) {
	lazy := func(c *Case) { c.Lazy = true }
	runAll(t, []trial{
		{name: "denied", fields: "  lazyLayers: deny\n", claims: []claim.Claim{signed(nil)}, change: lazy, want: ErrLazy},
		{name: "eager", fields: "  lazyLayers: deny\n", claims: []claim.Claim{signed(nil)}},
		{name: "allowed", fields: "  lazyLayers: allow\n", claims: []claim.Claim{signed(nil)}, change: lazy},
		{name: "nothing said", claims: []claim.Claim{signed(nil)}, change: lazy},
	})
}
