// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/distribution/reference"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// trustPolicy is a trustpolicy.json
// (https://github.com/notaryproject/specifications/blob/main/specs/trust-store-trust-policy.md).
type trustPolicy struct {
	Version       string      `json:"version"`
	TrustPolicies []statement `json:"trustPolicies"`
}

type statement struct {
	Name                  string   `json:"name"`
	RegistryScopes        []string `json:"registryScopes"`
	SignatureVerification struct {
		Level           string            `json:"level"`
		Override        map[string]string `json:"override"`
		VerifyTimestamp string            `json:"verifyTimestamp"`
	} `json:"signatureVerification"`
	TrustStores       []string        `json:"trustStores"`
	TrustedIdentities []string        `json:"trustedIdentities"`
	GlobalPolicy      json.RawMessage `json:"globalPolicy"`
}

// levels are what the named levels of verification do with what they find.
var levels = map[string]map[string]string{
	"strict":     {"integrity": "enforce", "authenticity": "enforce", "authenticTimestamp": "enforce", "expiry": "enforce", "revocation": "enforce"},
	"permissive": {"integrity": "enforce", "authenticity": "enforce", "authenticTimestamp": "log", "expiry": "log", "revocation": "log"},
	"audit":      {"integrity": "enforce", "authenticity": "log", "authenticTimestamp": "log", "expiry": "log", "revocation": "log"},
}

// Notation imports a trustpolicy.json for images. A trust policy for files
// (trustpolicy.blob.json) is about no image, and refused.
func Notation(src Source) (*Result, error) {
	r := &reading{src: src}
	if err := r.bounded(); err != nil {
		return nil, err
	}
	var p trustPolicy
	if err := strictjson.Unmarshal(src.Data, &p); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, src.Name, err)
	}
	if p.Version != "1.0" {
		r.inexpressible("version", "is %q, and 1.0 is the one that is known", p.Version)
	}
	var wild, exact []scope
	names, taken := map[string]bool{}, map[string]string{}
	for i, st := range p.TrustPolicies {
		place := fmt.Sprintf("trustPolicies[%d] (%q)", i, st.Name)
		if st.Name == "" || names[st.Name] {
			r.malformed(place, "the name is missing or used twice")
		}
		names[st.Name] = true
		if st.GlobalPolicy != nil || st.RegistryScopes == nil {
			r.inexpressible(place, "has no registryScopes: it is a trust policy for files, and policies here are about images")
			continue
		}
		s := scope{place: place, name: st.Name, demand: r.statement(place, st)}
		if len(st.RegistryScopes) == 1 && st.RegistryScopes[0] == "*" {
			s.repositories = []string{"**"}
			wild = append(wild, s)
			continue
		}
		s.repositories = r.registryScopes(place, st.RegistryScopes, taken)
		exact = append(exact, s)
	}
	if len(p.TrustPolicies) == 0 || len(wild) > 1 {
		r.malformed("trustPolicies", "needs at least one statement, and at most one with the scope *")
	}
	// "A policy with exact match for registry scope takes precedence".
	return r.finish(append(wild, exact...))
}

var domain = regexp.MustCompile(`[.:]|^localhost$`)

// registryScopes are repositories, each in one statement only.
func (r *reading) registryScopes(place string, list []string, taken map[string]string) []string {
	if len(list) == 0 {
		r.malformed(place+".registryScopes", "is empty")
	}
	for i, s := range list {
		at := fmt.Sprintf("%s.registryScopes[%d]", place, i)
		named, err := reference.ParseNormalizedNamed(s)
		host, _, found := strings.Cut(s, "/")
		switch {
		case len(s) > maxName || err != nil || !found || !reference.IsNameOnly(named):
			r.malformed(at, "%q is not a repository", s)
		case !domain.MatchString(host) || named.Name() != s:
			r.inexpressible(at, "%q does not begin with a registry: no image on a node has such a name", s)
		case taken[s] != "":
			r.malformed(at, "%q is in %s as well", s, taken[s])
		}
		taken[s] = place
	}
	return list
}

// statement reads what a statement demands.
func (r *reading) statement(place string, st statement) demand {
	v := st.SignatureVerification
	if v.Level == "skip" {
		if len(st.TrustStores)+len(st.TrustedIdentities)+len(v.Override) > 0 {
			r.malformed(place, "level skip with trust stores, trusted identities or overrides")
		}
		return demand{}
	}
	level := r.level(place+".signatureVerification", v.Level, v.Override)
	if len(st.TrustStores) == 0 || len(st.TrustedIdentities) == 0 {
		r.malformed(place, "trustStores and trustedIdentities are both required")
	}
	for i, s := range st.TrustStores {
		kind, name, _ := strings.Cut(s, ":")
		if (kind != "ca" && kind != "signingAuthority" && kind != "tsa") || !storeName.MatchString(name) {
			r.malformed(fmt.Sprintf("%s.trustStores[%d]", place, i), "%q is not ca:NAME, signingAuthority:NAME or tsa:NAME", s)
			continue
		}
		r.note("copy the certificates of trust store %s to /etc/plomb/notation/x509/%s/%s", s, kind, name)
	}
	for i, id := range st.TrustedIdentities {
		if id != "*" && !strings.HasPrefix(id, "x509.subject:") {
			r.inexpressible(fmt.Sprintf("%s.trustedIdentities[%d]", place, i), "%q is neither * nor x509.subject:DN, and plugins are not run", id)
		}
	}
	if v.VerifyTimestamp != "" && v.VerifyTimestamp != "always" && v.VerifyTimestamp != "afterCertExpiry" {
		r.malformed(place+".signatureVerification.verifyTimestamp", "is %q", v.VerifyTimestamp)
	}
	req := requirement{place: place, rule: spec.Authority{Notation: &spec.Notation{
		Level: level, TrustStores: st.TrustStores, TrustedIdentities: st.TrustedIdentities, VerifyTimestamp: v.VerifyTimestamp,
	}}}
	req.id = identify(req.rule)
	return demand{requirements: []requirement{req}}
}

var storeName = regexp.MustCompile(`\A[a-zA-Z0-9_.-]+\z`)

// level finds the named level that does what the level does with its overrides.
func (r *reading) level(place, name string, override map[string]string) string {
	base, ok := levels[name]
	if !ok {
		r.malformed(place+".level", "is %q, and not strict, permissive, audit or skip", name)
		return ""
	}
	custom := maps.Clone(base)
	for check, action := range override {
		if _, known := base[check]; !known || check == "integrity" {
			r.malformed(place+".override", "%q cannot be overridden", check)
		}
		custom[check] = action
	}
	for level, actions := range levels {
		if maps.Equal(custom, actions) {
			return level
		}
	}
	r.inexpressible(place+".override", "the checks are not those of strict, permissive or audit, and single checks cannot be switched here")
	return ""
}
