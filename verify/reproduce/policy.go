// SPDX-License-Identifier: Apache-2.0

package reproduce

import (
	"encoding/json"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/plombproject/plomb/provenance/slsa"
)

// A BuildKit source policy: whenever the build asks for a source by name, it
// gets the one that was recorded
// (https://github.com/moby/buildkit/blob/master/docs/build-repro.md).
type policy struct {
	Version int    `json:"version"`
	Rules   []rule `json:"rules"`
}

type rule struct {
	Action   string   `json:"action"`
	Selector selector `json:"selector"`
	Updates  updates  `json:"updates"`
}

type selector struct {
	Identifier string `json:"identifier"`
	MatchType  string `json:"matchType"`
}

type updates struct {
	Identifier string            `json:"identifier,omitempty"`
	Attrs      map[string]string `json:"attrs,omitempty"`
}

// sourcePolicy pins the dependencies that have a digest and a name that could
// be resolved to another one.
func sourcePolicy(dependencies []slsa.ResourceDescriptor) ([]byte, error) {
	p := policy{Version: 1, Rules: []rule{}}
	for _, d := range dependencies {
		if d.Name == "frontend" {
			continue // named by its digest on the command line
		}
		if from, u := pinned(d); from != "" {
			p.Rules = append(p.Rules, rule{Action: "CONVERT", Selector: selector{Identifier: from, MatchType: "EXACT"}, Updates: u})
		}
	}
	return json.Marshal(p)
}

// pinned returns what the build asks for, and what it shall get.
func pinned(d slsa.ResourceDescriptor) (string, updates) {
	sum, commit := d.Digest["sha256"], d.Digest["gitCommit"]
	switch {
	case strings.HasPrefix(d.URI, "pkg:docker/") && sum != "":
		if name := imageName(d.URI); name != "" {
			return "docker-image://" + name, updates{Identifier: "docker-image://" + name + "@sha256:" + sum}
		}
	case strings.HasPrefix(d.URI, "git://") && commit != "":
		base, fragment, _ := strings.Cut(d.URI, "#")
		to := base + "#" + commit
		if _, folder, ok := strings.Cut(fragment, ":"); ok {
			to += ":" + folder
		}
		return d.URI, updates{Identifier: to}
	case (strings.HasPrefix(d.URI, "http://") || strings.HasPrefix(d.URI, "https://")) && sum != "":
		return d.URI, updates{Identifier: d.URI, Attrs: map[string]string{"http.checksum": "sha256:" + sum}}
	}
	return "", updates{}
}

// imageName is the name with tag that a package URL of type docker stands for,
// in full; "" if it has no tag, and so is pinned by the Dockerfile itself.
func imageName(purl string) string {
	p, err := packageurl.FromString(purl)
	if err != nil || p.Version == "" || p.Name == "" {
		return ""
	}
	name := p.Name
	if p.Namespace != "" {
		name = p.Namespace + "/" + name
	}
	host, _, hasHost := strings.Cut(name, "/")
	switch {
	case !hasHost:
		name = "docker.io/library/" + name
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		name = "docker.io/" + name
	}
	return name + ":" + p.Version
}
