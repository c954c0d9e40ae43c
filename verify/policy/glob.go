// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// A glob is the pattern of spec.images, as policy-controller reads it
// (https://github.com/sigstore/policy-controller/blob/main/pkg/apis/glob/glob.go):
// `*` is any run of characters but `/`, `**` is any run at all, everything else
// stands for itself, and the whole name must match.
type glob struct {
	re *regexp.Regexp
}

var validGlob = regexp.MustCompile(`^[a-zA-Z0-9_:/*.@-]+$`)

// compileGlob refuses what is not a glob; brackets and question marks have no
// meaning here.
func compileGlob(pattern string) (glob, error) {
	// Two deprecated spellings, which policy-controller keeps for Docker Hub.
	switch pattern {
	case "*":
		pattern = "index.docker.io/library/*"
	case "*/*":
		pattern = "index.docker.io/*/*"
	}
	if !validGlob.MatchString(pattern) {
		return glob{}, fmt.Errorf("glob %q: only letters, digits and - _ : / . @ * are allowed", pattern)
	}
	return glob{re: wildcards(pattern)}, nil
}

// wildcards compiles a pattern in which * is any run of characters but /, ** any
// run, and everything else itself.
func wildcards(pattern string) *regexp.Regexp {
	var expr strings.Builder
	expr.WriteString(`(?s)\A`)
	for i, part := range strings.Split(pattern, "**") {
		if i > 0 {
			expr.WriteString(`.*`)
		}
		for j, literal := range strings.Split(part, "*") {
			if j > 0 {
				expr.WriteString(`[^/]*`)
			}
			expr.WriteString(regexp.QuoteMeta(literal))
		}
	}
	expr.WriteString(`\z`)
	return regexp.MustCompile(expr.String())
}

func everything() glob { return glob{re: regexp.MustCompile(`(?s)\A.*\z`)} }

func (g glob) match(name string) bool { return g.re.MatchString(name) }

const (
	dockerHub       = "docker.io"
	dockerHubLegacy = "index.docker.io"
	dockerHubServer = "registry-1.docker.io"
	layoutScheme    = "oci-layout:"
)

// Spellings are the names a glob is compared with: fully qualified, with the
// tag and with the digest. policy-controller compares with the one name the
// pod happens to use, and writes Docker Hub as index.docker.io; containerd
// writes docker.io, and people write neither. Here all of them count, so that
// the verdict does not depend on who asks.
func Spellings(name string, dgst digest.Digest) ([]string, error) {
	// A folder has no name that a registry would know; `**` still matches.
	if strings.HasPrefix(name, layoutScheme) {
		return []string{name}, nil
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, fmt.Errorf("%w: image name %q: %w", ErrInvalid, name, err)
	}
	repositories := hostSpellings(reference.Domain(named), reference.Path(named))
	if reference.Domain(named) == dockerHub || reference.Domain(named) == dockerHubServer {
		repositories = append(repositories, dockerHub+"/"+reference.Path(named), dockerHubLegacy+"/"+reference.Path(named))
		// The short name counts only if it means this image: that of
		// docker.io/registry.example/app is another registry's.
		if short, err := reference.ParseNormalizedNamed(reference.FamiliarName(named)); err == nil && short.Name() == named.Name() {
			repositories = append(repositories, reference.FamiliarName(named))
		}
	}
	var spellings []string
	for _, r := range repositories {
		spellings = append(spellings, r+"@"+dgst.String())
		spellings = append(spellings, tagged(r, named)...)
	}
	return spellings, nil
}

// hostSpellings are the names of a repository by all spellings of its host: in
// lower case, and with or without the port that is meant where none is given.
// Who asks for an image chooses the spelling, and must not choose the policy.
func hostSpellings(host, path string) []string {
	host = strings.ToLower(host)
	bare := strings.TrimSuffix(host, ":443")
	names := []string{bare + "/" + path}
	if host != bare || !strings.Contains(host, ":") {
		names = append(names, bare+":443/"+path)
	}
	return names
}

// tagged spells a repository with its tag. "latest" is what the bare name
// means, so then the bare name is a spelling as well.
func tagged(repository string, named reference.Named) []string {
	if t, ok := named.(reference.Tagged); ok {
		if t.Tag() != "latest" {
			return []string{repository + ":" + t.Tag()}
		}
		return []string{repository + ":latest", repository}
	}
	if _, ok := named.(reference.Digested); ok {
		return nil
	}
	return []string{repository + ":latest", repository}
}
