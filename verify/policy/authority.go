// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"github.com/distribution/reference"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// authority reads the authority with index i.
func (c *compiler) authority(s *spec.Authority, i int) Authority {
	a := Authority{Name: authorityName(s, i), Origin: string(s.At), Format: claim.Format(s.SignatureFormat)}
	kinds := 0
	if s.Static != nil {
		kinds++
		a.Static = &Static{Pass: s.Static.Action == "pass", Message: s.Static.Message}
		c.alone(s)
	}
	if s.Key != nil {
		kinds++
		a.Trust.Key, a.keys = c.key(s.Key)
	}
	if s.Keyless != nil {
		kinds++
		c.keyless(s.Keyless, &a)
	}
	if s.Notation != nil {
		kinds++
		a.Trust.Notation = c.notation(s)
	}
	if kinds != 1 {
		c.fault(s.At, "an authority needs exactly one of key, keyless, static and, in an ImagePolicy, notation")
	}
	c.logAndTime(s, &a)
	for j := range s.Sources {
		a.Sources = append(a.Sources, c.source(&s.Sources[j]))
		a.secrets = a.secrets || len(s.Sources[j].SignaturePullSecrets) > 0
	}
	for j := range s.Attestations {
		a.Attestations = append(a.Attestations, c.attestation(&s.Attestations[j]))
	}
	return a
}

// alone refuses what a static authority would not look at.
func (c *compiler) alone(s *spec.Authority) {
	for _, field := range given(
		"attestations", len(s.Attestations) > 0, "source", len(s.Sources) > 0, "ctlog", s.CTLog != nil,
		"rfc3161timestamp", s.RFC3161Timestamp != nil, "signatureFormat", s.SignatureFormat != "",
	) {
		c.fault(s.At, "a static authority looks at no evidence: %s would mean nothing", field)
	}
}

func (c *compiler) keyless(s *spec.Keyless, a *Authority) {
	trust := &KeylessTrust{Root: s.TrustRootRef, IgnoreSCT: s.InsecureIgnoreSCT}
	if s.CACert != nil {
		trust.CACert = s.CACert.Data
		if s.URL != "" {
			c.fault(s.At, "keyless has both url and ca-cert, give one")
		}
		c.caCert(s.CACert)
	}
	for _, id := range s.Identities {
		identity, err := NewIdentity(id.Issuer, id.IssuerRegExp, id.Subject, id.SubjectRegExp)
		if err != nil {
			c.located(err, id.At)
			continue
		}
		a.Identities = append(a.Identities, identity)
	}
	a.Trust.Keyless, a.CertificateAuthority = trust, s.URL
}

// notation reads the authority as a trust policy statement of the Notary
// Project. Whether stores and identities make sense is for the step to say that
// knows them.
func (c *compiler) notation(s *spec.Authority) *NotationTrust {
	n := s.Notation
	if len(n.TrustStores) == 0 && n.Certificates == "" {
		c.fault(n.At, "notation needs trustStores or certificates: nobody would be trusted")
	}
	for _, field := range given(
		"ctlog", s.CTLog != nil, "rfc3161timestamp", s.RFC3161Timestamp != nil,
		"signatureFormat", s.SignatureFormat != "", "attestations", len(s.Attestations) > 0,
	) {
		c.fault(s.At, "a Notary Project signature has no %s", field)
	}
	return &NotationTrust{
		Level: n.Level, TrustStores: n.TrustStores, TrustedIdentities: n.TrustedIdentities,
		VerifyTimestamp: n.VerifyTimestamp,
		Certificates:    n.Certificates, TimestampCertificates: n.TimestampCertificates,
	}
}

// logAndTime reads what an authority says of logs and timestamps. Where it
// names no trusted root, that of the certificate authority is meant: one
// instance vouches for all.
func (c *compiler) logAndTime(s *spec.Authority, a *Authority) {
	root := ""
	if a.Trust.Keyless != nil {
		root = a.Trust.Keyless.Root
	}
	named := func(ref string) string {
		if ref == "" {
			return root
		}
		return ref
	}
	if s.CTLog != nil {
		a.Trust.Log = &LogTrust{Root: named(s.CTLog.TrustRootRef), URL: s.CTLog.URL}
	}
	if s.RFC3161Timestamp != nil {
		a.Trust.Timestamp = &TimestampTrust{Root: named(s.RFC3161Timestamp.TrustRootRef)}
	}
}

func (c *compiler) source(s *spec.Source) Source {
	if s.OCI != "" {
		named, err := reference.ParseNormalizedNamed(s.OCI)
		if err != nil {
			c.fault(s.At, "source.oci %q is no repository: %v", s.OCI, err)
		} else if !reference.IsNameOnly(named) {
			c.fault(s.At, "source.oci %q is an image, want a repository without tag and digest", s.OCI)
		}
	}
	source := Source{Repository: s.OCI}
	if s.TagPrefix != nil {
		source.TagPrefix = *s.TagPrefix
	}
	return source
}

func (c *compiler) attestation(s *spec.Attestation) Attestation {
	a := Attestation{
		Name: s.Name, Origin: string(s.At),
		PredicateType: PredicateType(s.PredicateType), written: s.PredicateType,
	}
	if s.Policy == nil {
		return a
	}
	for _, field := range given(
		"fetchConfigFile", s.Policy.FetchConfigFile, "includeSpec", s.Policy.IncludeSpec,
		"includeObjectMeta", s.Policy.IncludeObjectMeta, "includeTypeMeta", s.Policy.IncludeTypeMeta,
	) {
		c.fault(s.Policy.At, "%s belongs into spec.policy: the policy of an attestation sees the statement alone", field)
	}
	a.policy = c.inner(s.Name, s.Policy)
	return a
}

// given lists the names after which true stands.
func given(pairs ...any) []string {
	var names []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1].(bool) {
			names = append(names, pairs[i].(string))
		}
	}
	return names
}

// predicateTypes are cosign's short names
// (https://github.com/sigstore/cosign/blob/main/cmd/cosign/cli/options/predicate.go).
var predicateTypes = map[string]string{
	"custom":           "https://cosign.sigstore.dev/attestation/v1",
	"slsaprovenance":   "https://slsa.dev/provenance/v0.2",
	"slsaprovenance02": "https://slsa.dev/provenance/v0.2",
	"slsaprovenance1":  "https://slsa.dev/provenance/v1",
	"spdx":             "https://spdx.dev/Document",
	"spdxjson":         "https://spdx.dev/Document",
	"cyclonedx":        "https://cyclonedx.org/bom",
	"link":             "https://in-toto.io/Link/v1",
	"vuln":             "https://cosign.sigstore.dev/attestation/vuln/v1",
	"openvex":          "https://openvex.dev/ns",
}

// PredicateType is the URI that one of cosign's short names stands for; other
// names stand for themselves.
func PredicateType(name string) string {
	if uri, ok := predicateTypes[name]; ok {
		return uri
	}
	return name
}
