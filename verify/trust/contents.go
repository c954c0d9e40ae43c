// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
)

// soon is how long before its end a validity is worth a warning: time enough
// for an administrator who looks once a week.
const soon = 30 * 24 * time.Hour

// Contents is what is in a trusted root, for people to read.
type Contents struct {
	// Digest is the SHA-256 of the trusted_root.json.
	Digest                 digest.Digest `json:"digest"`
	CertificateAuthorities []Authority   `json:"certificateAuthorities"`
	TimestampAuthorities   []Authority   `json:"timestampAuthorities"`
	TLogs                  []Log         `json:"tlogs"`
	CTLogs                 []Log         `json:"ctlogs"`
}

// Validity is a period. Without an end it is still in force.
type Validity struct {
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Authority issues certificates, or timestamps.
type Authority struct {
	URI string `json:"uri"`
	// Validity is the shortest of what the root says of the authority and what
	// its certificates say of themselves.
	Validity
	// Subjects of the certificates, the issuing one first.
	Subjects []string `json:"subjects"`
}

// Log is a transparency log.
type Log struct {
	URL string `json:"url"`
	// ID is in hexadecimal.
	ID string `json:"id"`
	// Key is the kind of key, in the words of Sigstore's protobuf.
	Key string `json:"key"`
	Validity
}

// Describe reads a trusted_root.json that ParsePart accepts.
func Describe(data []byte) (*Contents, error) {
	m, err := root.NewTrustedRootProtobuf(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	c := &Contents{Digest: digest.FromBytes(data), TLogs: describeLogs(m.GetTlogs()), CTLogs: describeLogs(m.GetCtlogs())}
	if c.CertificateAuthorities, err = describeAuthorities(m.GetCertificateAuthorities()); err == nil {
		c.TimestampAuthorities, err = describeAuthorities(m.GetTimestampAuthorities())
	}
	return c, err
}

func describeLogs(logs []*prototrustroot.TransparencyLogInstance) []Log {
	out := []Log{}
	for _, l := range logs {
		out = append(out, Log{
			URL:      l.GetBaseUrl(),
			ID:       hex.EncodeToString(l.GetLogId().GetKeyId()),
			Key:      l.GetPublicKey().GetKeyDetails().String(),
			Validity: validity(l.GetPublicKey().GetValidFor()),
		})
	}
	return out
}

func describeAuthorities(authorities []*prototrustroot.CertificateAuthority) ([]Authority, error) {
	out := []Authority{}
	for _, ca := range authorities {
		a := Authority{URI: ca.GetUri(), Validity: validity(ca.GetValidFor()), Subjects: []string{}}
		for _, raw := range ca.GetCertChain().GetCertificates() {
			cert, err := x509.ParseCertificate(raw.GetRawBytes())
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrRoot, ca.GetUri(), err)
			}
			a.Subjects = append(a.Subjects, cert.Subject.String())
			if cert.NotBefore.After(a.From) {
				a.From = cert.NotBefore.UTC()
			}
			if a.Until.IsZero() || cert.NotAfter.Before(a.Until) {
				a.Until = cert.NotAfter.UTC()
			}
		}
		out = append(out, a)
	}
	return out, nil
}

func validity(r *protocommon.TimeRange) Validity {
	var v Validity
	// 1970 is how documents without validity say "from the beginning".
	if r.GetStart() != nil && r.GetStart().GetSeconds() != 0 {
		v.From = r.GetStart().AsTime()
	}
	if r.GetEnd() != nil {
		v.Until = r.GetEnd().AsTime()
	}
	return v
}

// Warnings says what of the root cannot vouch for a signature made now, or soon
// not any more. That signatures of the past verify under old keys is no reason
// to warn, as long as there are new ones.
func (c *Contents) Warnings(now time.Time) []string {
	var warnings []string
	for _, kind := range []struct {
		name       string
		validities []Validity
	}{
		{"certificate authority", validities(c.CertificateAuthorities)},
		{"timestamp authority", validities(c.TimestampAuthorities)},
		{"transparency log", logValidities(c.TLogs)},
		{"certificate transparency log", logValidities(c.CTLogs)},
	} {
		if w := warn(kind.name, kind.validities, now); w != "" {
			warnings = append(warnings, w)
		}
	}
	return warnings
}

func validities(authorities []Authority) (out []Validity) {
	for _, a := range authorities {
		out = append(out, a.Validity)
	}
	return out
}

func logValidities(logs []Log) (out []Validity) {
	for _, l := range logs {
		out = append(out, l.Validity)
	}
	return out
}

// warn speaks of the one of a kind that is in force for longest.
func warn(kind string, list []Validity, now time.Time) string {
	var last time.Time
	for _, v := range list {
		if v.Until.IsZero() {
			return ""
		}
		if v.Until.After(last) {
			last = v.Until
		}
	}
	switch {
	case last.IsZero():
		return "" // none of the kind: not what the root is for
	case now.After(last):
		return fmt.Sprintf("no %s is in force: the last one was until %s; what is signed now will be refused", kind, format(last))
	case now.Add(soon).After(last):
		return fmt.Sprintf("the last %s in force is so until %s: it is time for a newer root", kind, format(last))
	}
	return ""
}
