// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"go.yaml.in/yaml/v3"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy"
)

// said is one claim as it is written down.
type said struct {
	Kind          string            `yaml:"kind"`
	Format        string            `yaml:"format"`
	Scope         string            `yaml:"scope"`
	PredicateType string            `yaml:"predicateType"`
	Predicate     yaml.Node         `yaml:"predicate"`
	PredicateFile string            `yaml:"predicateFile"`
	Names         []string          `yaml:"names"`
	Annotations   map[string]string `yaml:"annotations"`
	Signer        struct {
		Issuer      string            `yaml:"issuer"`
		Subject     string            `yaml:"subject"`
		Extensions  map[string]string `yaml:"extensions"`
		Serial      string            `yaml:"serial"`
		Authorities []string          `yaml:"authorities"`
		Key         string            `yaml:"key"`
		KeyFile     string            `yaml:"keyFile"`
		X509        string            `yaml:"x509"`
		TrustStore  string            `yaml:"trustStore"`
	} `yaml:"signer"`
	SignedAt string `yaml:"signedAt"`
	// SignedAfter is the beginning of the certificate's validity; the time of
	// signing if nothing is said, as with a certificate of ten minutes.
	SignedAfter string `yaml:"signedAfter"`
	Logged      *bool  `yaml:"logged"`
	Trust       trust  `yaml:"trust"`
}

// trust says under what the claim would verify.
type trust struct {
	// Root names the TrustRoot that has the certificate authority; empty is
	// the machine's trusted root.
	Root string `yaml:"root"`
	// Log and Timestamp name those that have the log, and the authority of the
	// timestamp.
	Log       *string `yaml:"log"`
	Timestamp *string `yaml:"timestamp"`
	// SCT is false for a certificate that no certificate transparency log saw.
	SCT *bool `yaml:"sct"`
	// Authority is a file with the root certificate.
	Authority string `yaml:"authority"`
}

// A supposed claim is a claim, and under what it would verify.
type supposed struct {
	claim.Claim
	root      string
	log       string
	timestamp *string
	sct       bool
	authority *x509.Certificate
}

// claim makes a claim of what was written down.
func (in *input) claim(s said, c policy.Case) (supposed, error) {
	out := supposed{
		Claim: claim.Claim{
			Kind: claim.Kind(s.Kind), Format: claim.Format(s.Format), Scope: claim.Scope(s.Scope),
			PredicateType: policy.PredicateType(s.PredicateType), Names: s.Names, Annotations: s.Annotations,
			Where: "input.yaml",
		},
		root: s.Trust.Root, log: s.Trust.Root, timestamp: s.Trust.Timestamp, sct: s.Trust.SCT == nil || *s.Trust.SCT,
	}
	if s.Trust.Log != nil {
		out.log = *s.Trust.Log
	}
	if err := in.signer(s, &out); err != nil {
		return out, fmt.Errorf("signer: %w", err)
	}
	if err := out.kind(s); err != nil {
		return out, err
	}
	out.Subject = map[claim.Scope]digest.Digest{claim.Index: c.Digest, claim.Manifest: c.Manifest, claim.ImageID: c.ImageID}[out.Scope]
	out.Logged = out.Signer.Issuer != "" && out.timestamp == nil
	if s.Logged != nil {
		out.Logged = *s.Logged
	}
	if err := out.time(s.SignedAt, c.Now); err != nil {
		return out, err
	}
	if err := out.after(s.SignedAfter); err != nil {
		return out, err
	}
	predicate, err := in.content(s.Predicate, s.PredicateFile)
	if err != nil {
		return out, fmt.Errorf("predicate: %w", err)
	}
	return out, out.statement(predicate, c)
}

// kind fills in what kind of claim it is, unless it says.
func (s *supposed) kind(written said) error {
	if s.Kind == "" {
		s.Kind = claim.Signature
		if s.PredicateType != "" && !strings.HasPrefix(s.PredicateType, "https://slsa.dev/provenance/") {
			s.Kind = claim.Attestation
		}
	}
	if s.Format == "" {
		s.Format = claim.Bundle
		if s.Signer.X509 != "" {
			s.Format = claim.Notation
		}
	}
	if s.Scope == "" {
		s.Scope = claim.Manifest
	}
	for _, f := range []struct {
		name, got string
		want      []string
	}{
		{"kind", string(s.Kind), []string{string(claim.Signature), string(claim.Attestation)}},
		{"format", string(s.Format), []string{string(claim.Bundle), string(claim.Legacy), string(claim.Notation)}},
		{"scope", string(s.Scope), []string{string(claim.Index), string(claim.Manifest), string(claim.ImageID), string(claim.Chain)}},
	} {
		if !slices.Contains(f.want, f.got) {
			return fmt.Errorf("%s is %q, want %s", f.name, f.got, strings.Join(f.want, " or "))
		}
	}
	if s.Kind == claim.Attestation && s.PredicateType == "" {
		return errors.New("an attestation needs a predicateType")
	}
	if written.Logged != nil && *written.Logged && s.Format == claim.Notation {
		return errors.New("a Notary Project signature is in no log")
	}
	return nil
}

// signer is who made the claim: exactly one of the three kinds.
func (in *input) signer(s said, out *supposed) error {
	w := s.Signer
	out.Signer = claim.Signer{
		Issuer: w.Issuer, Subject: w.Subject, Extensions: w.Extensions, Serial: w.Serial, Authorities: w.Authorities,
		X509: w.X509, TrustStore: w.TrustStore,
	}
	var err error
	switch {
	case w.KeyFile != "" && w.Key != "":
		return errors.New("give key or keyFile, not both")
	case w.KeyFile != "":
		data, readErr := in.file(w.KeyFile)
		if readErr != nil {
			return readErr
		}
		keys := fingerprints(data)
		if len(keys) != 1 {
			return fmt.Errorf("%s has %d public keys, want one", w.KeyFile, len(keys))
		}
		out.Signer.Key = keys[0]
	case w.Key != "":
		if out.Signer.Key, err = digest.Parse(w.Key); err != nil {
			return err
		}
	}
	n := 0
	for _, there := range []bool{w.Issuer != "" && w.Subject != "", out.Signer.Key != "", w.X509 != ""} {
		if there {
			n++
		}
	}
	if n != 1 {
		return errors.New("give issuer and subject, or key or keyFile, or x509")
	}
	if s.Trust.Authority != "" {
		data, err := in.file(s.Trust.Authority)
		if err != nil {
			return err
		}
		block, _ := pem.Decode(data)
		if block == nil {
			return fmt.Errorf("%s is no PEM certificate", s.Trust.Authority)
		}
		if out.authority, err = x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("%s: %w", s.Trust.Authority, err)
		}
	}
	return nil
}

// time is the trusted time of signing: an hour ago if nothing is said and
// something vouches for a time.
func (s *supposed) time(text string, now time.Time) error {
	trusted := s.Logged || s.timestamp != nil
	if text == "" {
		if trusted {
			s.SignedAt = now.Add(-time.Hour)
		}
		return nil
	}
	if !trusted && s.Format != claim.Notation {
		return errors.New("signedAt: without a log or a timestamp there is no trusted time")
	}
	var err error
	if s.SignedAt, err = time.Parse(time.RFC3339, text); err != nil {
		return fmt.Errorf("signedAt: %w", err)
	}
	return nil
}

// after is the time before which the signature was not made. A key has none.
func (s *supposed) after(text string) (err error) {
	if text == "" {
		if s.Signer.Key == "" {
			s.SignedAfter = s.SignedAt
		}
		return nil
	}
	if s.SignedAfter, err = time.Parse(time.RFC3339, text); err != nil {
		return fmt.Errorf("signedAfter: %w", err)
	}
	return nil
}

// statement wraps the predicate as it would have been signed.
func (s *supposed) statement(predicate []byte, c policy.Case) error {
	if s.PredicateType == "" {
		if predicate != nil {
			return errors.New("a predicate without predicateType")
		}
		return nil
	}
	if predicate == nil {
		predicate = []byte("{}")
	}
	s.Predicate = predicate
	subject := s.Subject
	if subject == "" {
		subject = c.Manifest
	}
	var err error
	s.Statement, err = json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": c.Name, "digest": map[string]string{subject.Algorithm().String(): subject.Encoded()}}},
		"predicateType": s.PredicateType,
		"predicate":     json.RawMessage(predicate),
	})
	s.Evidence = digest.FromBytes(s.Statement)
	return err
}

// fingerprints are the SHA-256 of the public keys in PEM.
func fingerprints(data []byte) []digest.Digest {
	var out []digest.Digest
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			continue
		}
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			continue
		}
		sum := sha256.Sum256(der)
		out = append(out, digest.NewDigestFromBytes(digest.SHA256, sum[:]))
	}
	return out
}
