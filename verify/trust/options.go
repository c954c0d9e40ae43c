// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// ErrOptions reports a trust that contradicts itself, or trusts nobody.
var ErrOptions = errors.New("unusable trust")

// Options say under what a bundle has to verify. It is keyless, with Root or
// CACert, or keyed, with Keys.
type Options struct {
	// Root has the certificate authorities and the certificate transparency
	// logs of a keyless trust, and the logs and timestamp authorities of any
	// trust that names no other.
	Root *Root
	// CACert is a PEM chain, issuing certificate first and root last, that
	// takes the place of the root's certificate authorities, and of them only.
	CACert []byte
	// IgnoreSCT does without certificate transparency. It has to be said even
	// if the root has no ctlogs.
	IgnoreSCT bool
	// Keys make the trust keyed: any of them may have signed.
	Keys []Key

	// Log asks for an entry in a transparency log. Nil: a keyless trust without
	// Timestamp wants one if Root has logs; any other wants none, and does not
	// look at those there are.
	Log *LogRule
	// Timestamp asks for a signed timestamp (RFC 3161). Nil: a keyless trust
	// takes the time from a log that has signed it or from any timestamp
	// authority of Root, and wants one; a keyed one does if it wants a log.
	Timestamp *TimestampRule

	// LogThreshold and TimestampThreshold are how many operators must have
	// logged and timestamped the signature, where a log or a timestamp is asked
	// for at all; 0 is 1. Two logs of one operator count as one.
	LogThreshold, TimestampThreshold int
}

// LogRule names the transparency logs to believe.
type LogRule struct {
	// Root has them; nil is Options.Root.
	Root *Root
	// URL, if set, is the one log of the root that counts, by its baseUrl.
	URL string
}

// TimestampRule names the timestamp authorities to believe.
type TimestampRule struct {
	// Root has them; nil is Options.Root.
	Root *Root
}

// A Verifier verifies bundles under one trust. It does not change, so it can be
// kept, and used by many goroutines at once.
type Verifier struct {
	keys        []Key
	authorities []authority
	ctLogs      map[string]*root.TransparencyLog
	ignoreSCT   bool

	logs      map[string]*root.TransparencyLog
	logRoot   *Root
	logsAsked int

	timestampers    []root.TimestampingAuthority
	timestampRoot   *Root
	timestampsAsked int

	// since is when the first of all that is trusted came into force.
	since time.Time
}

// NewVerifier checks that the options make sense and that the roots have what
// is asked of them. Errors are ErrOptions, ErrRoot or ErrKey.
func NewVerifier(o Options) (*Verifier, error) {
	v := &Verifier{keys: o.Keys, ignoreSCT: o.IgnoreSCT}
	if o.LogThreshold < 0 || o.TimestampThreshold < 0 {
		return nil, fmt.Errorf("%w: a threshold is negative", ErrOptions)
	}
	for _, step := range []func(Options) error{v.setSigners, v.setLogs, v.setTimestampers} {
		if err := step(o); err != nil {
			return nil, err
		}
	}
	if !v.keyed() && v.logsAsked == 0 && len(v.timestampers) == 0 {
		return nil, fmt.Errorf("%w: it has neither tlogs nor timestampAuthorities: nothing could say when a certificate was used", ErrRoot)
	}
	v.since = v.earliestStart()
	return v, nil
}

func (v *Verifier) keyed() bool { return len(v.keys) > 0 }

// setSigners takes the keys, or the certificate authorities.
func (v *Verifier) setSigners(o Options) error {
	switch {
	case v.keyed() && o.CACert != nil:
		return fmt.Errorf("%w: it has both keys and a CA certificate", ErrOptions)
	case v.keyed():
		for _, k := range o.Keys {
			if k.public == nil {
				return fmt.Errorf("%w: an empty key", ErrKey)
			}
		}
		return nil
	case o.CACert != nil:
		ca, err := parseChain(o.CACert)
		if err != nil {
			return err
		}
		v.authorities = []authority{*ca}
	case o.Root == nil:
		return fmt.Errorf("%w: it names neither a trusted root, nor a CA certificate, nor a key", ErrOptions)
	default:
		v.authorities = authoritiesOf(o.Root.material)
	}
	if len(v.authorities) == 0 {
		return lacks("certificateAuthorities")
	}
	if o.IgnoreSCT {
		return nil
	}
	if o.Root == nil || !o.Root.HasCTLogs() {
		return fmt.Errorf("%w; if its certificates are in no certificate transparency log, say so (insecureIgnoreSCT)", lacks("ctlogs"))
	}
	v.ctLogs = o.Root.material.CTLogs()
	return nil
}

// setLogs finds out whether a log is asked for, and which count.
func (v *Verifier) setLogs(o Options) error {
	rule := o.Log
	if rule == nil {
		wanted := o.LogThreshold > 0 || !v.keyed() && o.Timestamp == nil && o.Root != nil && len(o.Root.material.RekorLogs()) > 0
		if !wanted {
			return nil
		}
		rule = &LogRule{}
	}
	v.logRoot, v.logsAsked = either(rule.Root, o.Root), max(o.LogThreshold, 1)
	if v.logRoot == nil || len(v.logRoot.material.RekorLogs()) == 0 {
		return lacks("tlogs")
	}
	v.logs = v.logRoot.material.RekorLogs()
	if rule.URL == "" {
		return nil
	}
	want := strings.TrimSuffix(rule.URL, "/")
	v.logs = maps.Clone(v.logs)
	maps.DeleteFunc(v.logs, func(_ string, l *root.TransparencyLog) bool { return strings.TrimSuffix(l.BaseURL, "/") != want })
	if len(v.logs) == 0 {
		return fmt.Errorf("%w: it has no log at %s", ErrRoot, rule.URL)
	}
	return nil
}

// setTimestampers finds out whether a timestamp is asked for, and whose count.
func (v *Verifier) setTimestampers(o Options) error {
	v.timestampRoot = either(o.Root, v.logRoot)
	if o.Timestamp != nil {
		v.timestampRoot = either(o.Timestamp.Root, o.Root)
	}
	if v.timestampRoot != nil {
		v.timestampers = v.timestampRoot.material.TimestampingAuthorities()
	}
	if o.Timestamp == nil && o.TimestampThreshold == 0 {
		return nil
	}
	v.timestampsAsked = max(o.TimestampThreshold, 1)
	if len(v.timestampers) == 0 {
		return lacks("timestampAuthorities")
	}
	return nil
}

// earliestStart is when the first trusted part came into force: no clock that
// says an earlier time can be right.
func (v *Verifier) earliestStart() time.Time {
	var starts []time.Time
	for _, ca := range v.authorities {
		starts = append(starts, ca.ValidityPeriodStart)
	}
	for _, log := range v.logs {
		starts = append(starts, log.ValidityPeriodStart)
	}
	for _, tsa := range v.timestampers {
		if s, ok := tsa.(*root.SigstoreTimestampingAuthority); ok {
			starts = append(starts, s.ValidityPeriodStart)
		}
	}
	if len(starts) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(starts, time.Time.Compare)
}

func either(a, b *Root) *Root {
	if a != nil {
		return a
	}
	return b
}

func lacks(part string) error {
	return fmt.Errorf("%w: it has no %s: nothing could be verified with it", ErrRoot, part)
}

// authoritiesOf are the certificate authorities of a root.
func authoritiesOf(m *root.TrustedRoot) []authority {
	var out []authority
	for _, ca := range m.FulcioCertificateAuthorities() {
		if fulcio, ok := ca.(*root.FulcioCertificateAuthority); ok {
			out = append(out, authority{fulcio})
		}
	}
	return out
}

// parseChain makes a certificate authority of a PEM chain.
func parseChain(data []byte) (*authority, error) {
	blocks, err := decodePEM(data, "CERTIFICATE")
	if err != nil {
		return nil, fmt.Errorf("%w: CA certificate: %w", ErrRoot, err)
	}
	var certs []*x509.Certificate
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%w: CA certificate: it has a %q", ErrRoot, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: CA certificate: %w", ErrRoot, err)
		}
		if _, err := newKey(cert.PublicKey, ""); err != nil {
			return nil, fmt.Errorf("%w: CA certificate: %s: %w", ErrRoot, cert.Subject, err)
		}
		certs = append(certs, cert)
	}
	if err := checkChain(certs); err != nil {
		return nil, fmt.Errorf("%w: CA certificate: %w", ErrRoot, err)
	}
	last := len(certs) - 1
	return &authority{&root.FulcioCertificateAuthority{Root: certs[last], Intermediates: certs[:last]}}, nil
}
