// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"
	"time"

	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/claim"
)

// An old image with an old but valid signature is what freshness is against:
// whoever may push can bring it back under any tag.
func TestFreshness(t *testing.T) {
	finished := func(at time.Time) claim.Claim {
		return provenanceClaim(func(p *slsa.Provenance) { p.RunDetails.Metadata.FinishedOn = &at })
	}
	reproducible := provenanceClaim(func(p *slsa.Provenance) { p.RunDetails.Metadata.FinishedOn = nil })
	untimed := func(c claim.Claim) claim.Claim { c.SignedAt = time.Time{}; return c }
	others := provenanceClaim(func(p *slsa.Provenance) {
		p.RunDetails.Metadata.FinishedOn, p.BuildDefinition.BuildType = nil, "https://example.com/build"
	})
	old := signed(func(c *claim.Claim) { c.SignedAt = today.Add(-40 * day) })
	replayed := finished(today.Add(-40 * day))
	replayed.SignedAt = today.Add(-40 * day)
	resigned := finished(today.Add(-40 * day))
	scan := func(at string) claim.Claim {
		return stated(predicateVuln, `{"scanner":{"uri":"x"},"metadata":{"scanStartedOn":"2026-05-19T11:00:00Z","scanFinishedOn":"`+at+`"}}`)
	}
	longLived := signed(func(c *claim.Claim) { c.SignedAfter = today.Add(-400 * day) })
	restamped := provenanceClaim(func(p *slsa.Provenance) { p.RunDetails.Metadata.FinishedOn = nil })
	restamped.SignedAfter = today.Add(-400 * day)
	const build, signature, scanned = "  freshness: {build: 30d}\n", "  freshness: {signature: 720h}\n", "  freshness: {scan: 2d}\n"
	runAll(t, []trial{
		{name: "fresh build", fields: build, claims: []claim.Claim{provenanceClaim(nil)}, until: 29 * day},
		{name: "replay of an old build", fields: build, claims: []claim.Claim{replayed}, want: ErrStale, says: "the build is of 2026-04-10T12:00:30Z, at most 30d"},
		{name: "old build signed anew", fields: build, claims: []claim.Claim{resigned}, want: ErrStale},
		{name: "old build, fresh cosign signature", fields: build, claims: []claim.Claim{replayed, signed(nil)}, want: ErrStale},
		{name: "on the very second", fields: build, claims: []claim.Claim{finished(today.Add(-30 * day))}, want: ErrStale},
		{name: "a second before", fields: build, claims: []claim.Claim{finished(today.Add(-30*day + time.Second))}, until: time.Second},
		{name: "same bits built again", fields: build, claims: []claim.Claim{replayed, provenanceClaim(nil)}, until: 29 * day},
		{name: "a build from the future was not after its signing", fields: build, claims: []claim.Claim{finished(today.Add(100 * day))}, until: 29 * day},
		{name: "a build from the future, without a trusted time", fields: build, claims: []claim.Claim{untimed(finished(today.Add(100 * day)))}, want: ErrNoTime, says: "still to come"},
		{name: "no provenance", fields: build, claims: []claim.Claim{signed(nil)}, want: ErrNoProvenance},
		{name: "reproducible times, signed within the build", fields: build, claims: []claim.Claim{reproducible}, until: 29 * day},
		{name: "reproducible times, no trusted time", fields: build, claims: []claim.Claim{untimed(reproducible)}, want: ErrNoTime},
		{name: "others without times", fields: build, claims: []claim.Claim{others}, want: ErrNoTime},
		{name: "broken provenance", fields: build, claims: []claim.Claim{provenanceClaim(nil), stated("https://slsa.dev/provenance/v1", `{"runDetails":1}`)}, want: ErrProvenance},

		{name: "fresh signature", fields: signature, claims: []claim.Claim{signed(nil)}, until: 29 * day},
		{name: "replay of an old signature", fields: signature, claims: []claim.Claim{old}, want: ErrStale},
		{name: "signed again", fields: signature, claims: []claim.Claim{old, signed(nil)}, until: 29 * day},
		{name: "an attestation is no signature", fields: signature, claims: []claim.Claim{old, scan("2026-05-19T12:00:00Z")}, want: ErrStale},
		{name: "no trusted time of signing", fields: signature, claims: []claim.Claim{untimed(signed(nil))}, want: ErrNoTime},

		// A timestamp can be renewed on an old signature, unless the certificate
		// did not live that long.
		{name: "old signature by a certificate of years, stamped anew", fields: signature, claims: []claim.Claim{longLived}, want: ErrStale},
		{name: "and for a build without times", fields: build, claims: []claim.Claim{restamped}, want: ErrStale},

		{name: "fresh scan", fields: scanned, claims: []claim.Claim{signed(nil), scan("2026-05-19T12:00:30Z")}, until: day},
		{name: "old scan", fields: scanned, claims: []claim.Claim{signed(nil), scan("2026-05-18T12:00:30Z")}, want: ErrStale, says: "scan it and attest"},
		{name: "no scan", fields: scanned, claims: []claim.Claim{signed(nil)}, want: ErrNoTime, says: "none of 0"},
		{name: "scan without time", fields: scanned, claims: []claim.Claim{signed(nil), stated(predicateVuln, `{"metadata":{}}`)}, want: ErrNoTime, says: "none of 1"},
		{name: "broken scan", fields: scanned, claims: []claim.Claim{signed(nil), stated(predicateVuln, `{"metadata":{"scanFinishedOn":1}}`)}, want: ErrNoTime},

		{name: "the earliest end counts", fields: "  freshness: {build: 30d, signature: 10d, scan: 40d}\n", claims: []claim.Claim{provenanceClaim(nil), scan("2026-05-19T12:00:00Z")}, until: 9 * day},
	})
}
