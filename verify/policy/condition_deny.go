// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// deny refuses digests, and makes claims of denied signers count for nothing.
type deny struct {
	digests map[digest.Digest]string
	signers []deniedSigner
	serials map[string]string
	keys    map[digest.Digest]string
}

func (*deny) name() string { return conditionDeny }

// A deniedSigner is a certificate identity for signatures of a time.
type deniedSigner struct {
	issuer, subject pattern
	// from and until may be zero.
	from, until time.Time
	reason      string
}

// pattern is a text, an expression, or neither, which matches everything.
type pattern struct {
	exact string
	re    *regexp.Regexp
}

func (p pattern) match(s string) bool {
	if p.re != nil {
		return p.re.MatchString(s)
	}
	return p.exact == "" || p.exact == s
}

func buildDeny(b *builder, p *spec.ImagePolicy) {
	if p.Deny == nil {
		return
	}
	d := &deny{digests: map[digest.Digest]string{}, serials: map[string]string{}, keys: map[digest.Digest]string{}}
	for _, e := range p.Deny.Digests {
		d.digests[b.sha256(e.At, "digest", e.Digest)] = e.Reason
	}
	for _, e := range p.Deny.Keys {
		text := e.Key
		if !strings.Contains(text, ":") {
			text = "sha256:" + text
		}
		d.keys[b.sha256(e.At, "key", text)] = e.Reason
	}
	for _, e := range p.Deny.Serials {
		serial := plainSerial(e.Serial)
		if !validSerial.MatchString(serial) {
			b.fault(e.At, "serial %q: want hexadecimal digits, such as 0a:1b or 0a1b", e.Serial)
		}
		d.serials[serial] = e.Reason
	}
	for _, e := range p.Deny.Identities {
		d.signers = append(d.signers, b.deniedSigner(e))
	}
	if len(d.digests)+len(d.keys)+len(d.serials)+len(d.signers) == 0 {
		b.fault(p.Deny.At, "deny lists nothing: name digests, identities, serials or keys, or leave it out")
	}
	b.add(p.Deny.At, d)
}

var (
	validSerial = regexp.MustCompile(`^[0-9a-f]{1,64}$`)
	validSHA256 = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// sha256 reads a digest of an image or a key.
func (b *builder) sha256(at spec.Origin, what, text string) digest.Digest {
	if !validSHA256.MatchString(text) {
		b.fault(at, "%s %q: want sha256: and 64 hexadecimal digits in lower case", what, text)
	}
	return digest.Digest(text)
}

// plainSerial is a serial number without colons, leading zeros and capitals.
func plainSerial(s string) string {
	s = strings.ToLower(strings.ReplaceAll(s, ":", ""))
	if s != "" && strings.Trim(s, "0") == "" {
		return "0"
	}
	return strings.TrimLeft(s, "0")
}

func (b *builder) deniedSigner(e spec.DeniedIdentity) deniedSigner {
	d := deniedSigner{
		issuer: b.pattern(e.At, "issuer", e.Issuer, e.IssuerRegExp), subject: b.pattern(e.At, "subject", e.Subject, e.SubjectRegExp),
		from: b.time(e.At, "from", e.From), until: b.time(e.At, "until", e.Until), reason: e.Reason,
	}
	if e.Issuer+e.IssuerRegExp+e.Subject+e.SubjectRegExp == "" {
		b.fault(e.At, "an identity to deny needs an issuer or a subject: this would deny everybody")
	}
	if !d.from.IsZero() && !d.until.IsZero() && !d.from.Before(d.until) {
		b.fault(e.At, "from %s is not before until %s", e.From, e.Until)
	}
	return d
}

func (b *builder) pattern(at spec.Origin, what, exact, expr string) pattern {
	if exact != "" && expr != "" {
		b.fault(at, "%s and %sRegExp: give one", what, what)
	}
	if expr == "" {
		return pattern{exact: exact}
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		b.fault(at, "%sRegExp: %w", what, err)
		re = regexp.MustCompile("")
	}
	return pattern{re: re}
}

// time reads an optional time.
func (b *builder) time(at spec.Origin, what, text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		b.fault(at, "%s %q: want a time such as 2026-01-31T12:00:00Z (RFC 3339)", what, text)
	}
	return t
}

// check refuses an image by digest, and one of which denied signers alone
// approve. What they say is left out of the claims of all other conditions; an
// approval, or an attestation of a type, that nobody else makes is missing then.
func (d *deny) check(_ context.Context, f *facts) (time.Time, error) {
	if err := d.image(f.c); err != nil {
		return time.Time{}, err
	}
	for _, c := range f.denied {
		if !slices.ContainsFunc(f.claims, func(other claim.Claim) bool { return stands(other, c.Claim) }) {
			return time.Time{}, c.reason
		}
	}
	return time.Time{}, nil
}

// image refuses an image by digest.
func (d *deny) image(c Case) error {
	for _, dgst := range imageDigests(c) {
		if reason, ok := d.digests[dgst]; ok {
			return refuse(ErrDeniedImage, "use another image", "%s%s", dgst, because(reason))
		}
	}
	return nil
}

// stands reports whether one claim can stand for another that does not count.
func stands(one, other claim.Claim) bool {
	if one.Kind == claim.Signature && other.Kind == claim.Signature {
		return true
	}
	return one.Kind == other.Kind && one.PredicateType == other.PredicateType
}

// imageDigests are all digests by which somebody may mean the image.
func imageDigests(c Case) []digest.Digest {
	return append(slices.Clone(c.Indexes), c.Digest, c.Manifest, c.ImageID)
}

// welcome refuses the claims of a denied signer. A signature of which nobody
// could say that it was made before or after a window is in it.
func (d *deny) welcome(c claim.Claim) error {
	s := c.Signer
	if reason, ok := d.serials[plainSerial(s.Serial)]; ok && s.Serial != "" {
		return refuse(ErrDenied, "have it signed with another certificate", "certificate %s of %s%s", s.Serial, s, because(reason))
	}
	if reason, ok := d.keys[s.Key]; ok && s.Key != "" {
		return refuse(ErrDenied, "have it signed with another key", "key %s%s", s.Key, because(reason))
	}
	for _, e := range d.signers {
		if e.means(c) {
			return refuse(ErrDenied, "have it signed by somebody else", "%s%s%s", s, e.window(c.SignedAt), because(e.reason))
		}
	}
	return nil
}

func (e *deniedSigner) means(c claim.Claim) bool {
	if c.Signer.Key != "" {
		return false // a key has no identity
	}
	if !e.issuer.match(c.Signer.Issuer) || !e.subject.match(cmp.Or(c.Signer.Subject, c.Signer.X509)) {
		return false
	}
	// It was made by SignedAt, and not before Age: either may be unknown.
	after := e.until.IsZero() || c.Age().IsZero() || c.Age().Before(e.until)
	return after && (e.from.IsZero() || c.SignedAt.IsZero() || !c.SignedAt.Before(e.from))
}

func (e *deniedSigner) window(signedAt time.Time) string {
	switch {
	case e.from.IsZero() && e.until.IsZero():
		return ""
	case signedAt.IsZero():
		return ", at an unknown time"
	}
	return fmt.Sprintf(", signed %s", signedAt.UTC().Format(time.RFC3339))
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

// noLazyLayers refuses images with lazily loaded layers, however they are
// signed.
type noLazyLayers struct{}

func (noLazyLayers) name() string { return conditionLazyLayers }

func buildLazyLayers(b *builder, p *spec.ImagePolicy) {
	if p.LazyLayers == "deny" {
		b.add(p.At, noLazyLayers{})
	}
}

func (noLazyLayers) check(_ context.Context, f *facts) (time.Time, error) {
	if f.c.Lazy {
		return time.Time{}, refuse(ErrLazy, "push it with ordinary layers", "manifest %s", f.c.Manifest)
	}
	return time.Time{}, nil
}
