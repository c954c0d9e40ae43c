// SPDX-License-Identifier: Apache-2.0

// Package inspect tells what an image carries and what that says of itself,
// without judging: nothing in a report has been verified. It is for people who
// want to write a policy, or to know why one refused.
package inspect

import (
	"context"
	"encoding/json"
	"iter"
	"slices"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/notation"
	"github.com/plombproject/plomb/verify/trust"
)

// Schema identifies the JSON form of a Report.
const Schema = "https://plombproject.github.io/inspect/v1"

// A Report is what an image carries.
type Report struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	// Digest is that of the index, or of the manifest if there is no index.
	Digest    digest.Digest   `json:"digest"`
	Indexes   []digest.Digest `json:"indexes"`
	Platforms []Platform      `json:"platforms"`
	Requests  int             `json:"requests"`
}

// A Platform is one manifest and what was found about it.
type Platform struct {
	Platform string        `json:"platform"`
	Manifest digest.Digest `json:"manifest"`
	// Config is the digest people call the image ID.
	Config  digest.Digest `json:"config"`
	Layers  int           `json:"layers"`
	Bundles []Bundle      `json:"bundles"`
	// Attestations are the in-toto statements in the attestation manifests, and
	// those that the provenance in a bundle names and that are not there.
	Attestations []Attestation `json:"attestations"`
}

// A Bundle is a signature bundle and what it claims.
type Bundle struct {
	// Where lists the places it was found in; each place may hold a copy.
	Where  []string      `json:"where"`
	Digest digest.Digest `json:"digest,omitempty"`
	// Format is bundle, legacy, or the media type of a Notary Project envelope.
	Format string `json:"format,omitempty"`
	// Issuer and Subject are the certificate's, X509 is the name in a Notary
	// Project certificate, Key the SHA-256 of a public key, if the bundle hints
	// at it.
	Issuer  string        `json:"issuer,omitempty"`
	Subject string        `json:"subject,omitempty"`
	X509    string        `json:"x509,omitempty"`
	Key     digest.Digest `json:"key,omitempty"`
	// Keyed: it was signed with a bare key.
	Keyed bool `json:"keyed,omitempty"`
	// Signs is the digest that a signature without a statement says it is over;
	// for one in cosign's old form the manifest that its payload names.
	Signs         digest.Digest        `json:"signs,omitempty"`
	PredicateType string               `json:"predicateType,omitempty"`
	Subjects      []provenance.Subject `json:"subjects,omitempty"`
	Build         *Build               `json:"build,omitempty"`
	// Foretold are the manifests that the statement foretells for the platform.
	Foretold []digest.Digest `json:"foretold,omitempty"`
	// Error is why it cannot be read.
	Error string `json:"error,omitempty"`
}

// Build is the part of the provenance that people look for first.
type Build struct {
	Builder    string                    `json:"builder,omitempty"`
	Source     *slsa.Source              `json:"source,omitempty"`
	Dockerfile slsa.Dockerfile           `json:"dockerfile"`
	Materials  []slsa.ResourceDescriptor `json:"materials,omitempty"`
}

// Inspect reads the image dgst at location.
func Inspect(ctx context.Context, name string, dgst digest.Digest, location evidence.Location) (*Report, error) {
	img, err := image.Open(ctx, location, dgst, runnable{}, image.MaxForPerson)
	if err != nil {
		return nil, err
	}
	r := &Report{Schema: Schema, Name: name, Digest: dgst, Indexes: img.Indexes, Platforms: []Platform{}}
	for _, m := range img.Manifests {
		p := Platform{
			Platform:     platforms.Format(m.Platform),
			Manifest:     m.Entry.Digest,
			Config:       m.Manifest.Config.Digest,
			Layers:       len(m.Manifest.Layers),
			Bundles:      bundles(ctx, location, m),
			Attestations: []Attestation{},
		}
		p.Attestations, err = attestations(ctx, location, m, provenanceOf(ctx, location, m))
		if err != nil {
			return nil, err
		}
		r.Platforms = append(r.Platforms, p)
	}
	r.Requests = location.Requests()
	return r, nil
}

// runnable matches every platform that some machine could be.
type runnable struct{}

func (runnable) Match(p ocispec.Platform) bool {
	return p.OS != "unknown" && p.Architecture != "unknown"
}

// bundles reads every bundle about m, each once.
func bundles(ctx context.Context, location evidence.Location, m image.Manifest) []Bundle {
	list := []Bundle{}
	for c, err := range candidates(ctx, location, m) {
		if len(list) == evidence.MaxCandidates {
			break
		}
		if i := slices.IndexFunc(list, func(b Bundle) bool { return c.Digest != "" && b.Digest == c.Digest }); i >= 0 {
			list[i].Where = append(list[i].Where, c.Where)
			continue
		}
		b := Bundle{Where: []string{c.Where}, Digest: c.Digest, Format: string(c.Form)}
		if err == nil {
			err = b.describe(c, m)
		}
		if err != nil {
			b.Error = err.Error()
		}
		list = append(list, b)
	}
	return list
}

// candidates goes through every place where signatures can be.
func candidates(ctx context.Context, location evidence.Location, m image.Manifest) iter.Seq2[evidence.Candidate, error] {
	return func(yield func(evidence.Candidate, error) bool) {
		for _, source := range evidence.Sources(location) {
			for c, err := range source.Candidates(ctx, evidence.Subject{Entry: m.Entry, Siblings: m.Siblings, Indexes: m.Indexes}) {
				if c.Form == "" {
					c.Form = evidence.Bundle
				}
				if !yield(c, err) {
					return
				}
			}
		}
	}
}

// describe fills in what the signature claims.
func (b *Bundle) describe(c evidence.Candidate, m image.Manifest) error {
	if c.Form == evidence.JWS || c.Form == evidence.COSE {
		claim, err := notation.DescribeUnverified(c.Bundle, string(c.Form))
		if err != nil {
			return err
		}
		b.X509, b.Signs = claim.X509, claim.Target.Digest
		return nil
	}
	claim, err := trust.DescribeUnverified(c.Bundle)
	if err != nil {
		return err
	}
	b.Issuer, b.Subject, b.Key, b.Keyed = claim.Signer.Issuer, claim.Signer.Subject, claim.Signer.Key, claim.Keyed
	if claim.PayloadType == "" {
		b.Signs = claim.Digest
		if named := simpleSigning(c); named != "" {
			b.Signs = named
		}
		return nil
	}
	return b.describeStatement(claim.Payload, m.Platform)
}

// describeStatement fills in what an in-toto statement claims.
func (b *Bundle) describeStatement(payload []byte, platform ocispec.Platform) error {
	raw, err := document.ParseStatement(payload)
	if err != nil {
		return err
	}
	b.PredicateType = raw.PredicateType
	for _, s := range raw.Subjects {
		b.Subjects = append(b.Subjects, provenance.Subject{Name: s.Name, Digest: s.Digest, Annotations: s.Annotations})
	}
	st, err := provenance.ParseStatement(payload)
	if err != nil || st.PredicateType != provenance.PredicateSLSA1 {
		return nil // a statement of somebody else's
	}
	b.Foretold = binding.Foretold(st, platform)
	var p slsa.Provenance
	if err := json.Unmarshal(st.Predicate, &p); err != nil {
		return err
	}
	b.Build = &Build{
		Builder:    p.RunDetails.Builder.ID,
		Source:     p.BuildDefinition.ExternalParameters.Source,
		Dockerfile: p.BuildDefinition.ExternalParameters.Dockerfile,
		Materials:  p.BuildDefinition.ResolvedDependencies,
	}
	return nil
}
