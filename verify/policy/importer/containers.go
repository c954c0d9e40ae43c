// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/plombproject/plomb/internal/strictjson"
)

// maxName bounds the name of a scope; image names are shorter.
const maxName = 300

// containersPolicy is the whole of a containers-policy.json(5)
// (https://github.com/containers/image/blob/main/docs/containers-policy.json.5.md).
type containersPolicy struct {
	Default    []json.RawMessage                       `json:"default"`
	Transports map[string]map[string][]json.RawMessage `json:"transports"`
}

// ContainersPolicy imports a containers-policy.json(5). Only the transport
// docker is about images that a node pulls: another is refused unless
// Source.Ignore names it.
func ContainersPolicy(src Source) (*Result, error) {
	r := &reading{src: src}
	if err := r.bounded(); err != nil {
		return nil, err
	}
	var p containersPolicy
	if err := strictjson.Unmarshal(src.Data, &p); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, src.Name, err)
	}
	if len(p.Default) == 0 {
		r.malformed("default", "is missing, and the format requires it")
	}
	for _, t := range slices.Sorted(maps.Keys(p.Transports)) {
		if t != "docker" && !slices.Contains(src.Ignore, t) {
			r.inexpressible(fmt.Sprintf("transports[%q]", t), "a node pulls from registries alone, transport docker; leave the others out with --ignore-transport %s", oneLine(t))
		}
	}
	return r.finish(r.dockerScopes(p))
}

// dockerScopes are the scopes of transport docker, the most specific last: "If
// multiple policy requirements match a given image, only the requirements from
// the most specific match apply".
func (r *reading) dockerScopes(p containersPolicy) []scope {
	docker := p.Transports["docker"]
	everything := scope{place: "default", name: "default", repositories: []string{"**"}}
	if requirements, ok := docker[""]; ok {
		everything.place = `transports.docker[""]`
		everything.demand = r.demand(everything.place, requirements)
		r.note(`%s also decides about images in folders (oci-layout:), which transport docker does not know`, everything.place)
	} else {
		everything.demand = r.demand(everything.place, p.Default)
	}
	scopes := []scope{everything}
	for _, name := range slices.SortedFunc(maps.Keys(docker), bySpecificity) {
		if name == "" {
			continue
		}
		place := fmt.Sprintf("transports.docker[%q]", name)
		s, err := parseScope(name)
		if err != nil {
			r.inexpressible(place, "%v", err)
			continue
		}
		s.place, s.name = place, name
		s.demand = r.demand(place, docker[name])
		scopes = append(scopes, s)
	}
	return scopes
}

// bySpecificity sorts the scopes of images: of two that match the same name,
// the more specific one is longer, and a host beats a wildcard.
func bySpecificity(a, b string) int {
	wa, wb := strings.HasPrefix(a, "*."), strings.HasPrefix(b, "*.")
	switch {
	case wa && !wb:
		return -1
	case wb && !wa:
		return 1
	case len(a) != len(b):
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

var (
	wildcardScope = regexp.MustCompile(`\A\*\.[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)*\z`)
	hostScope     = regexp.MustCompile(`\A([a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+(:[0-9]+)?|[a-zA-Z0-9-]+:[0-9]+|localhost)\z`)
)

// parseScope reads a scope of transport docker: a reference with tag or digest,
// a repository, a namespace, a host with or without port, or *.DOMAIN.
func parseScope(name string) (scope, error) {
	if len(name) > maxName {
		return scope{}, fmt.Errorf("the scope is longer than %d bytes", maxName)
	}
	if wildcardScope.MatchString(name) {
		if name == "*.docker.io" {
			return scope{}, fmt.Errorf("no image has such a name: those of Docker Hub are on docker.io itself")
		}
		// "not including a port number": with any port.
		return scope{repositories: []string{name + "/**", name + ":*/**"}}, nil
	}
	host, path, hasPath := strings.Cut(name, "/")
	if !hostScope.MatchString(host) {
		return scope{}, fmt.Errorf("the scope must begin with a registry, such as docker.io/library/busybox")
	}
	if host == "index.docker.io" {
		return scope{}, fmt.Errorf("no image has such a name: write docker.io, which is what names are expanded to")
	}
	if !hasPath {
		return scope{repositories: []string{host + "/**"}}, nil
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || named.String() != name || reference.Path(named) != strings.FieldsFunc(path, func(c rune) bool { return c == ':' || c == '@' })[0] {
		if host == "docker.io" && err == nil && !strings.ContainsAny(path, "/:@") {
			// docker.io/library is a namespace, and docker.io/acme too.
			return scope{repositories: []string{name + "/**"}}, nil
		}
		return scope{}, fmt.Errorf("the scope is not an image name in its fully expanded form")
	}
	s := scope{repositories: []string{named.Name()}, reference: strings.TrimPrefix(name, named.Name())}
	if _, both := named.(reference.Canonical); both && strings.Contains(s.reference[:1], ":") {
		return scope{}, fmt.Errorf("the scope has both a tag and a digest")
	}
	if s.reference == "" {
		s.repositories = append(s.repositories, name+"/**")
	}
	return s, nil
}

// demand reads a list of requirements: "for an image to be accepted, all of the
// requirements must be satisfied simultaneously".
func (r *reading) demand(place string, list []json.RawMessage) demand {
	if len(list) == 0 {
		r.malformed(place, "the list of requirements is empty, and the format forbids that")
	}
	var d demand
	for i, raw := range list {
		place := fmt.Sprintf("%s[%d]", place, i)
		var head struct {
			Type string `json:"type"`
		}
		if err := strictjson.UnmarshalOpen(raw, &head); err != nil {
			r.malformed(place, "%v", err)
			continue
		}
		switch head.Type {
		case "insecureAcceptAnything", "reject":
			if err := strictjson.Unmarshal(raw, &head); err != nil {
				r.malformed(place, "%v", err)
			}
			d.reject = d.reject || head.Type == "reject"
		case "sigstoreSigned":
			req, ok := r.sigstoreSigned(place, raw)
			if ok && !d.contains(req.id) {
				d.requirements = append(d.requirements, req)
			}
		case "signedBy":
			r.inexpressible(place, "signedBy: GPG signatures are not read; sign with a sigstore key or keyless, and require sigstoreSigned")
		case "signedBaseLayer":
			r.inexpressible(place, "signedBaseLayer: not implemented by anybody; materials.baseImages of an ImagePolicy does what it meant")
		default:
			r.malformed(place, "requirement of unknown type %q", head.Type)
		}
	}
	return d
}
