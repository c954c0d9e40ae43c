// SPDX-License-Identifier: Apache-2.0

// Package materials lists what went into a build, from the sources of its
// build graph, as resolved dependencies of a SLSA provenance. What is not
// known to the digest is listed all the same and marked as incomplete.
//
// Of reads the graph only. A Resolver asks BuildKit for what the graph does not
// tell: which commit, which download, and the content of local contexts, which
// a helper in the frontend's image digests within the build.
package materials

import (
	"fmt"
	"net/url"
	"regexp"
	"sort"
	"strings"
	"unicode"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/purl"
	"github.com/opencontainers/go-digest"
	"github.com/package-url/packageurl-go"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/provenance/slsa"
)

const (
	imageScheme  = "docker-image://"
	layoutScheme = "oci-layout://" // always with a digest
)

// Of returns the sources of defs, without repetitions, sorted by URI. skip is
// the frontend's own image, which is listed elsewhere; facts may be nil.
func Of(defs []*pb.Definition, skip string, facts Facts) ([]slsa.ResourceDescriptor, error) {
	found := map[string]slsa.ResourceDescriptor{}
	for _, def := range defs {
		for _, dt := range def.Def {
			var op pb.Op
			if err := proto.Unmarshal(dt, &op); err != nil {
				return nil, fmt.Errorf("read the build graph: %w", err)
			}
			src := op.GetSource()
			if src == nil || src.Identifier == skip {
				continue
			}
			d, err := descriptor(src, op.Platform, facts[digest.FromBytes(dt)])
			if err != nil {
				return nil, err
			}
			found[d.URI+" "+pin(d)] = d
		}
	}
	return ordered(found), nil
}

func ordered(found map[string]slsa.ResourceDescriptor) []slsa.ResourceDescriptor {
	out := make([]slsa.ResourceDescriptor, 0, len(found))
	for _, d := range found {
		out = append(out, d)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].URI != out[j].URI {
			return out[i].URI < out[j].URI
		}
		return pin(out[i]) < pin(out[j])
	})
	return out
}

// pin is the digest of d as text; a source has at most one.
func pin(d slsa.ResourceDescriptor) string {
	for algorithm, sum := range d.Digest {
		return algorithm + ":" + sum
	}
	return ""
}

func descriptor(src *pb.SourceOp, platform *pb.Platform, known *Fact) (slsa.ResourceDescriptor, error) {
	if name, ok := strings.CutPrefix(src.Identifier, imageScheme); ok {
		return Image(name, platform)
	}
	if _, sum, ok := strings.Cut(src.Identifier, "@sha256:"); ok && strings.HasPrefix(src.Identifier, layoutScheme) {
		return slsa.ResourceDescriptor{URI: src.Identifier, Digest: map[string]string{"sha256": sum}}, nil
	}
	d := slsa.ResourceDescriptor{URI: WithoutCredentials(src.Identifier)}
	sum, checked := strings.CutPrefix(src.Attrs[pb.AttrHTTPChecksum], "sha256:")
	switch {
	case checked:
		d.Digest = map[string]string{"sha256": sum}
	case known == nil:
		d.Annotations = map[string]any{slsa.AnnotationIncomplete: true}
	default:
		known.describe(&d)
	}
	return d, nil
}

// Image describes a container image as a package URL of type docker.
func Image(name string, platform *pb.Platform) (slsa.ResourceDescriptor, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return slsa.ResourceDescriptor{}, fmt.Errorf("image %q in the build graph: %w", name, err)
	}
	var uri string
	if platform == nil {
		uri, err = purl.RefToPURL(packageurl.TypeDocker, name, nil)
	} else {
		spec := platform.Spec()
		uri, err = purl.RefToPURL(packageurl.TypeDocker, name, &spec)
	}
	if err != nil {
		return slsa.ResourceDescriptor{}, fmt.Errorf("image %q in the build graph: %w", name, err)
	}
	d := slsa.ResourceDescriptor{URI: uri}
	if canonical, ok := named.(reference.Canonical); ok {
		d.Digest = map[string]string{canonical.Digest().Algorithm().String(): canonical.Digest().Encoded()}
	} else {
		d.Annotations = map[string]any{slsa.AnnotationIncomplete: true}
	}
	return d, nil
}

var scheme = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://`)

// secretQuery finds query parameters that are there to let somebody in, as in
// signed URLs of object stores.
var secretQuery = regexp.MustCompile(`(?i)([?&;](?:sig|[^=&;#\s]*(?:token|signature|secret|passw|credential|api[-_]?key|access[-_]?key|auth)[^=&;#\s]*)=)[^&;#\s"',]+`)

// WithoutCredentials removes users and passwords, and query parameters that
// are credentials by their name, from the URLs in text. What looks like a URL
// and is none, as with a password that was not escaped, loses everything up to
// its last @.
func WithoutCredentials(text string) string {
	return secretQuery.ReplaceAllString(withoutUsers(text), "${1}")
}

func withoutUsers(text string) string {
	var out strings.Builder
	for {
		at := scheme.FindStringIndex(text)
		if at == nil {
			return out.String() + text
		}
		out.WriteString(text[:at[1]])
		rest, end := text[at[1]:], len(text)-at[1]
		if i := strings.IndexFunc(rest, unicode.IsSpace); i >= 0 {
			end = i
		}
		if next := scheme.FindStringIndex(rest); next != nil {
			end = min(end, next[0])
		}
		out.WriteString(rest[userinfo(text[at[0]:at[1]], rest[:end]):end])
		text = rest[end:]
	}
}

// userinfo returns how many bytes of rest, which follows a URL's scheme, are
// user and password.
func userinfo(scheme, rest string) int {
	u, err := url.Parse(scheme + rest)
	if err != nil || u.Host == "" {
		return strings.LastIndexByte(rest, '@') + 1
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return strings.LastIndexByte(rest, '@') + 1
}
