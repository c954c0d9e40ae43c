// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// document is one YAML document as it is written.
type document struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       any      `yaml:"spec"`
}

type metadata struct {
	Name string `yaml:"name"`
}

// A root is a TrustRoot that requirements refer to by name.
type root struct {
	name, place string
	keys        spec.SigstoreKeys
}

// rootFor finds or adds the TrustRoot with these keys, and returns its name.
func (r *reading) rootFor(place string, keys spec.SigstoreKeys) string {
	if keys.CertificateAuthorities == nil {
		keys.CertificateAuthorities = []spec.CertificateAuthority{}
	}
	id := identify(keys)
	for _, known := range r.roots {
		if identify(known.keys) == id {
			return known.name
		}
	}
	name := fmt.Sprintf("imported-root-%d", len(r.roots)+1)
	r.roots = append(r.roots, root{name, place, keys})
	return name
}

// identify is the same text for the same data.
func identify(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("plain data: " + err.Error())
	}
	return string(text)
}

// render writes the roots and, for each scope, a policy for each requirement:
// all of them have to be satisfied, as policies have to be.
func (r *reading) render(scopes []scope) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Imported from %s. plomb policy check says what to look at.\n", oneLine(r.src.Name))
	for _, root := range r.roots {
		keys := root.keys
		if err := write(&out, root.place, document{"policy.sigstore.dev/v1alpha1", spec.KindTrustRoot, metadata{root.name}, spec.TrustRoot{SigstoreKeys: &keys}}); err != nil {
			return nil, err
		}
	}
	names := map[string]int{}
	for _, s := range scopes {
		for _, doc := range s.documents(names) {
			if err := write(&out, s.place, doc); err != nil {
				return nil, err
			}
		}
	}
	return out.Bytes(), nil
}

func write(out *bytes.Buffer, place string, doc document) error {
	fmt.Fprintf(out, "---\n# %s\n", oneLine(place))
	enc := yaml.NewEncoder(out)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrInexpressible, place, err)
	}
	return enc.Close()
}

// documents are the policies of one scope.
func (s scope) documents(names map[string]int) []document {
	var images []spec.ImagePattern
	for _, g := range s.globs() {
		images = append(images, spec.ImagePattern{Glob: g})
	}
	cluster := func(a spec.Authority) document {
		return document{"policy.sigstore.dev/v1beta1", spec.KindClusterImagePolicy, metadata{unique(names, s.name)},
			spec.ClusterImagePolicy{Images: images, Authorities: []spec.Authority{a}}}
	}
	switch {
	case s.demand.reject:
		return []document{cluster(spec.Authority{Static: &spec.Static{Action: "fail", Message: "rejected by an imported rule"}})}
	case len(s.demand.requirements) == 0:
		return []document{cluster(spec.Authority{Static: &spec.Static{Action: "pass"}})}
	}
	var docs []document
	for _, req := range s.demand.requirements {
		if req.identity == nil && req.rule.Notation == nil {
			docs = append(docs, cluster(req.rule))
			continue
		}
		docs = append(docs, document{spec.VersionImagePolicy, spec.KindImagePolicy, metadata{unique(names, s.name)}, spec.ImagePolicy{
			ClusterImagePolicy: spec.ClusterImagePolicy{Images: images, Authorities: []spec.Authority{req.rule}},
			SignedIdentity:     req.identity,
		}})
	}
	return docs
}

// unique makes a name that metadata.name can be, and that is not used yet.
func unique(names map[string]int, text string) string {
	name := strings.Trim(strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '-':
			return c
		case c >= 'A' && c <= 'Z':
			return c - 'A' + 'a'
		}
		return '-'
	}, text), "-.")
	if len(name) > 200 {
		name = name[:200]
	}
	if name == "" {
		name = "imported"
	}
	for {
		names[name]++
		n := names[name]
		if n == 1 {
			return name
		}
		name = fmt.Sprintf("%s-%d", name, n)
	}
}

// oneLine keeps a comment one line long.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff {
			return '?'
		}
		return r
	}, s)
}
