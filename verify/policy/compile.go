// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// compiler makes policies of documents and collects what makes no sense in
// them, each fault with file and line.
type compiler struct{ faults []error }

func (c *compiler) fault(at spec.Origin, format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("%w: %s: %s", ErrInvalid, at, fmt.Sprintf(format, args...)))
}

// located puts the place before each of the joined faults in err.
func (c *compiler) located(err error, at spec.Origin) {
	faults := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok && strings.Contains(err.Error(), "\n") {
		faults = joined.Unwrap()
	}
	for _, fault := range faults {
		c.fault(at, "%s", strings.TrimPrefix(fault.Error(), ErrInvalid.Error()+": "))
	}
}

// parsed are the documents of one file, ready for use.
type parsed struct {
	policies []Policy
	roots    []spec.Document
}

// parse reads the documents of one file.
func parse(file string, data []byte) (parsed, error) {
	docs, err := spec.Parse(file, data)
	if err != nil {
		return parsed{}, err
	}
	var c compiler
	var p parsed
	for _, doc := range docs {
		switch {
		case doc.TrustRoot != nil:
			c.trustRoot(doc.TrustRoot)
			p.roots = append(p.roots, doc)
		case doc.ClusterImagePolicy != nil:
			p.policies = append(p.policies, c.policy(doc, &spec.ImagePolicy{At: doc.ClusterImagePolicy.At, ClusterImagePolicy: *doc.ClusterImagePolicy}))
		case doc.ImagePolicy != nil:
			p.policies = append(p.policies, c.policy(doc, doc.ImagePolicy))
		}
	}
	if len(c.faults) > 0 {
		return parsed{}, errors.Join(c.faults...)
	}
	return p, nil
}

// policy makes a policy of the one kind of document or the other: a
// ClusterImagePolicy is an ImagePolicy without conditions.
func (c *compiler) policy(doc spec.Document, s *spec.ImagePolicy) Policy {
	p := Policy{Name: doc.Name, Origin: string(doc.At), Mode: Enforce, Spec: s, match: len(s.Match) > 0}
	if s.Mode != "" {
		p.Mode = Mode(s.Mode)
	}
	for _, image := range s.Images {
		g, err := compileGlob(image.Glob)
		if err != nil {
			c.fault(image.At, "%v", err)
			continue
		}
		p.globs = append(p.globs, g)
	}
	for _, m := range s.Match {
		if m.Selector != nil && m.Resource == "" && m.Version == "" && m.Group == "" {
			c.fault(m.At, "match.selector needs a resource to select from")
		}
	}
	for i := range s.Authorities {
		p.Authorities = append(p.Authorities, c.authority(&s.Authorities[i], i))
	}
	if s.Policy != nil {
		p.whole = c.inner(p.Name, s.Policy)
		c.distinct(s)
	}
	conditions, faults := conditionsOf(s)
	p.conditions = conditions
	c.faults = append(c.faults, faults...)
	return p
}

// distinct demands names that a policy over all authorities can tell apart.
func (c *compiler) distinct(s *spec.ImagePolicy) {
	var names []string
	for i, a := range s.Authorities {
		name := authorityName(&a, i)
		if slices.Contains(names, name) {
			c.fault(a.At, "two authorities are called %q, and spec.policy could not tell them apart", name)
		}
		names = append(names, name)
		var attestations []string
		for _, att := range a.Attestations {
			if slices.Contains(attestations, att.Name) {
				c.fault(att.At, "two attestations of authority %s are called %q, and spec.policy could not tell them apart", name, att.Name)
			}
			attestations = append(attestations, att.Name)
		}
	}
}

// authorityName is the name of the authority with index i: policy-controller
// gives the same to those without one.
func authorityName(a *spec.Authority, i int) string {
	if a.Name != "" {
		return a.Name
	}
	return fmt.Sprintf("authority-%d", i)
}

// Unsupported lists the fields of the schema that are refused by name, by their
// path in the document.
var Unsupported = spec.Refused()
