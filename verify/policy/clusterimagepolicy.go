// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// group is the API group of the documents, in the versions that mean the same.
var apiVersions = []string{"policy.sigstore.dev/v1beta1", "policy.sigstore.dev/v1alpha1"}

const kindClusterImagePolicy = "ClusterImagePolicy"

// Unsupported lists the fields of the ClusterImagePolicy schema that are
// refused by name (https://github.com/sigstore/policy-controller, v1beta1).
var Unsupported = []string{
	"status",
	"spec.policy",
	"spec.match",
	"spec.authorities.key",
	"spec.authorities.source",
	"spec.authorities.ctlog",
	"spec.authorities.attestations",
	"spec.authorities.rfc3161timestamp",
	"spec.authorities.signatureFormat",
	"spec.authorities.keyless.ca-cert",
	"spec.authorities.keyless.trustRootRef",
	"spec.authorities.keyless.insecureIgnoreSCT",
}

func unsupported(path string) bool { return slices.Contains(Unsupported, path) }

// document reads one YAML document. An empty one, as a trailing `---` leaves
// it, is no policy.
func (r *reader) document(doc *yaml.Node) *Policy {
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		r.fault(ErrInvalid, doc, "not a document")
		return nil
	}
	n := doc.Content[0]
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil
	}
	if !r.header(n) {
		return nil
	}
	p := &Policy{Origin: r.origin(n), Mode: Enforce}
	var hasMetadata, hasSpec bool
	r.object("", n, fields{
		"apiVersion": nil,
		"kind":       nil,
		"metadata":   func(path string, n *yaml.Node) { hasMetadata = true; r.metadata(path, n, p) },
		"spec":       func(path string, n *yaml.Node) { hasSpec = true; r.spec(path, n, p) },
	})
	if !hasMetadata || p.Name == "" {
		r.fault(ErrInvalid, n, "metadata.name is missing")
	}
	if !hasSpec {
		r.fault(ErrInvalid, n, "spec is missing")
	}
	return p
}

// header demands the one kind of document we read, before anything else is
// complained about.
func (r *reader) header(n *yaml.Node) bool {
	var apiVersion, kind string
	before := len(r.faults)
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			switch n.Content[i].Value {
			case "apiVersion":
				r.text(&apiVersion)("apiVersion", n.Content[i+1])
			case "kind":
				r.text(&kind)("kind", n.Content[i+1])
			}
		}
	}
	if len(r.faults) > before {
		return false
	}
	if kind == "TrustRoot" {
		r.fault(ErrUnsupported, n, "kind TrustRoot is not yet supported: give its content as a trusted_root.json")
		return false
	}
	if kind != kindClusterImagePolicy || !slices.Contains(apiVersions, apiVersion) {
		r.fault(ErrInvalid, n, "apiVersion %q, kind %q: want %s, kind %s", apiVersion, kind, apiVersions[0], kindClusterImagePolicy)
		return false
	}
	return true
}

func (r *reader) metadata(path string, n *yaml.Node, p *Policy) {
	r.object(path, n, fields{
		"name": r.text(&p.Name),
		// Neither changes what a policy means.
		"labels":      nil,
		"annotations": nil,
	})
}

func (r *reader) spec(path string, n *yaml.Node, p *Policy) {
	mode := string(Enforce)
	r.object(path, n, fields{
		"images": func(path string, n *yaml.Node) {
			r.list(path, n, func(path string, n *yaml.Node) { r.image(path, n, p) })
		},
		"authorities": func(path string, n *yaml.Node) {
			r.list(path, n, func(path string, n *yaml.Node) { r.authority(path, n, p) })
		},
		"mode": r.text(&mode),
	})
	if p.Mode = Mode(mode); p.Mode != Enforce && p.Mode != Warn {
		r.fault(ErrInvalid, n, "%s.mode is %q, want %s or %s", path, mode, Enforce, Warn)
	}
	if len(p.globs) == 0 {
		r.fault(ErrInvalid, n, "%s.images is missing: the policy would match nothing", path)
	}
	if len(p.Authorities) == 0 {
		r.fault(ErrInvalid, n, "%s.authorities is missing: nothing could satisfy the policy", path)
	}
}

func (r *reader) image(path string, n *yaml.Node, p *Policy) {
	var pattern string
	r.object(path, n, fields{"glob": r.text(&pattern)})
	g, err := compileGlob(pattern)
	if err != nil {
		r.faults = append(r.faults, fmt.Errorf("%w (%s)", err, r.origin(n)))
		g = glob{}
	}
	p.globs = append(p.globs, g)
}

func (r *reader) authority(path string, n *yaml.Node, p *Policy) {
	a := Authority{Name: fmt.Sprintf("authority-%d", len(p.Authorities)), Origin: r.origin(n)}
	r.object(path, n, fields{
		"name":    r.text(&a.Name),
		"static":  func(path string, n *yaml.Node) { a.Static = r.static(path, n) },
		"keyless": func(path string, n *yaml.Node) { a.Keyless = r.keyless(path, n) },
	})
	if a.Keyless != nil {
		a.Trust.Keyless = &KeylessTrust{}
		a.CertificateAuthority, a.Identities = a.Keyless.URL, a.Keyless.Identities
	}
	if (a.Static == nil) == (a.Keyless == nil) {
		r.fault(ErrInvalid, n, "%s: an authority needs exactly one of keyless and static", path)
	}
	p.Authorities = append(p.Authorities, a)
}

func (r *reader) static(path string, n *yaml.Node) *Static {
	var action string
	var s Static
	r.object(path, n, fields{"action": r.text(&action), "message": r.text(&s.Message)})
	if action != "pass" && action != "fail" {
		r.fault(ErrInvalid, n, "%s.action is %q, want pass or fail", path, action)
	}
	s.Pass = action == "pass"
	return &s
}

func (r *reader) keyless(path string, n *yaml.Node) *Keyless {
	var k Keyless
	r.object(path, n, fields{
		"url": r.text(&k.URL),
		"identities": func(path string, n *yaml.Node) {
			r.list(path, n, func(path string, n *yaml.Node) {
				if id, ok := r.identity(path, n); ok {
					k.Identities = append(k.Identities, id)
				}
			})
		},
	})
	if len(k.Identities) == 0 {
		r.fault(ErrInvalid, n, "%s.identities is missing: anybody could sign", path)
	}
	return &k
}

func (r *reader) identity(path string, n *yaml.Node) (Identity, bool) {
	var issuer, issuerRE, subject, subjectRE string
	r.object(path, n, fields{
		"issuer":        r.text(&issuer),
		"issuerRegExp":  r.text(&issuerRE),
		"subject":       r.text(&subject),
		"subjectRegExp": r.text(&subjectRE),
	})
	id, err := NewIdentity(issuer, issuerRE, subject, subjectRE)
	if err != nil {
		r.faults = append(r.faults, fmt.Errorf("%w (%s, %s)", err, r.origin(n), path))
		return Identity{}, false
	}
	return id, true
}
