// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// predicateVuln is cosign's report of a scan
// (https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md).
const predicateVuln = "https://cosign.sigstore.dev/attestation/vuln/v1"

// skew is how far ahead of ours the clock of a builder or scanner may be.
const skew = 5 * time.Minute

// freshness limits ages, against the replay of an old image with an old but
// valid signature. Zero is no limit.
type freshness struct{ build, signature, scan time.Duration }

func (*freshness) name() string { return conditionFreshness }

func buildFreshness(b *builder, p *spec.ImagePolicy) {
	s := p.Freshness
	if s == nil {
		return
	}
	f := &freshness{
		build: b.duration(s.At, "build", s.Build), signature: b.duration(s.At, "signature", s.Signature), scan: b.duration(s.At, "scan", s.Scan),
	}
	if s.Build+s.Signature+s.Scan == "" {
		b.fault(s.At, "freshness limits nothing: give build, signature or scan, or leave it out")
	}
	b.add(s.At, f)
}

// duration reads an optional age: Go's notation, or whole days such as 30d.
func (b *builder) duration(at spec.Origin, what, text string) time.Duration {
	if text == "" {
		return 0
	}
	d, err := parseAge(text)
	if err != nil {
		b.fault(at, "%s %q: %w", what, text, err)
	}
	return d
}

func parseAge(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	var d time.Duration
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/day) {
			return 0, fmt.Errorf("want a number of days such as 30d")
		}
		d = time.Duration(n) * day
	} else {
		var err error
		if d, err = time.ParseDuration(text); err != nil {
			return 0, fmt.Errorf("want a duration such as 720h or 30d")
		}
	}
	if d <= 0 {
		return 0, fmt.Errorf("an age must be more than nothing")
	}
	return d, nil
}

func (l *freshness) check(_ context.Context, f *facts) (changesAt time.Time, err error) {
	for _, limit := range []struct {
		age    time.Duration
		what   string
		remedy string
		when   func(*facts) (time.Time, error)
	}{
		{l.build, "build", "build it again", buildTime},
		{l.signature, "signature", "build and sign it again", signatureTime},
		{l.scan, "scan", "scan it and attest the result", scanTime},
	} {
		if limit.age == 0 {
			continue
		}
		at, err := limit.when(f)
		if err != nil {
			return time.Time{}, err
		}
		until := at.Add(limit.age)
		if at.After(f.c.Now.Add(skew)) {
			return at, refuse(ErrNoTime, "mend the clock of whoever made it", "the %s is of %s, which is still to come", limit.what, stamp(at))
		}
		if !f.c.Now.Before(until) {
			return time.Time{}, refuse(ErrStale, limit.remedy, "the %s is of %s, at most %s are allowed", limit.what, stamp(at), age(limit.age))
		}
		changesAt = earliest(changesAt, until)
	}
	return changesAt, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func age(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", days)
	}
	return d.String()
}

// buildTime is when the newest build finished, as its provenance says: the same
// bits may have been built again. It cannot have finished after it was signed.
// plomb signs within the build and leaves the times out if they were to be
// reproducible: then the time of signing is that of the build.
func buildTime(f *facts) (time.Time, error) {
	builds, err := f.builds()
	if err != nil {
		return time.Time{}, err
	}
	var newest time.Time
	for i := range builds {
		b := &builds[i]
		said := b.RunDetails.Metadata.FinishedOn
		if said == nil {
			said = b.RunDetails.Metadata.StartedOn
		}
		var at time.Time
		switch {
		case said != nil:
			at = notAfterSigning(*said, b.claim)
		case b.byPlomb():
			at = b.claim.Age()
		}
		newest = latest(newest, at)
	}
	if newest.IsZero() {
		return newest, refuse(ErrNoTime, "have the builder write runDetails.metadata.finishedOn", "the provenance does not say when the build finished")
	}
	return newest, nil
}

// signatureTime is the newest time that the age of a signature counts from.
func signatureTime(f *facts) (time.Time, error) {
	var newest time.Time
	for _, c := range f.approvals() {
		newest = latest(newest, c.Age())
	}
	if newest.IsZero() {
		return newest, refuse(ErrNoTime, "sign it with a certificate, and a timestamp or an entry in a log", "nothing that could not be renewed vouches for when the image was signed")
	}
	return newest, nil
}

// scanTime is the end of the newest scan that was attested.
func scanTime(f *facts) (time.Time, error) {
	var newest time.Time
	scans := 0
	for _, c := range f.claims {
		if c.PredicateType != predicateVuln {
			continue
		}
		scans++
		var scan struct {
			Metadata struct {
				FinishedOn *time.Time `json:"scanFinishedOn"`
			} `json:"metadata"`
		}
		// What cannot be read is no scan; another may be.
		if err := strictjson.UnmarshalOpen(c.Predicate, &scan); err == nil && scan.Metadata.FinishedOn != nil {
			newest = latest(newest, notAfterSigning(*scan.Metadata.FinishedOn, c))
		}
	}
	if newest.IsZero() {
		return newest, refuse(ErrNoTime, "scan it and attest the result under the same authority", "none of %d attested scans says when it finished", scans)
	}
	return newest, nil
}

// notAfterSigning is the time that a statement gives, or that of its signature
// if that is earlier: nobody signs what has not happened yet.
func notAfterSigning(said time.Time, c claim.Claim) time.Time {
	if !c.SignedAt.IsZero() && c.SignedAt.Before(said) {
		return c.SignedAt
	}
	return said
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
