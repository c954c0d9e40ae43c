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
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/purl"
	"github.com/opencontainers/go-digest"
	"github.com/package-url/packageurl-go"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/provenance/slsa"
)

const imageScheme = "docker-image://"

// pinnedSchemes are those of sources that a graph names by digest.
var pinnedSchemes = []string{"oci-layout", "docker-image+blob", "oci-layout+blob"}

// Of returns the sources of defs and what else is known to have gone in,
// without repetitions, sorted by URI. skip is the frontend's own image, which
// is listed elsewhere; facts may be nil.
func Of(defs []*pb.Definition, skip string, facts Facts, more ...slsa.ResourceDescriptor) ([]slsa.ResourceDescriptor, error) {
	found := map[string]slsa.ResourceDescriptor{}
	for _, d := range more {
		found[key(d)] = d
	}
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
			found[key(d)] = d
		}
	}
	return ordered(found), nil
}

// ordered sorts by URI, which has no space in it, and then by the rest.
func ordered(found map[string]slsa.ResourceDescriptor) []slsa.ResourceDescriptor {
	out := make([]slsa.ResourceDescriptor, 0, len(found))
	for _, k := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[k])
	}
	return out
}

// key tells dependencies apart: by their URI and digest, of which a source has
// at most one, and a local context by what was asked of it as well.
func key(d slsa.ResourceDescriptor) string {
	pin := ""
	for algorithm, sum := range d.Digest {
		pin = algorithm + ":" + sum
	}
	return fmt.Sprintf("%s %s %q", d.URI, pin, d.Annotations[slsa.AnnotationFilter])
}

func descriptor(src *pb.SourceOp, platform *pb.Platform, known *Fact) (slsa.ResourceDescriptor, error) {
	if name, ok := strings.CutPrefix(src.Identifier, imageScheme); ok {
		return Image(name, platform)
	}
	d := slsa.ResourceDescriptor{URI: WithoutCredentials(src.Identifier)}
	switch {
	case known != nil:
		known.describe(&d)
	case isPinned(src.Identifier):
		_, sum, _ := strings.Cut(src.Identifier, "@sha256:")
		d.Digest = map[string]string{"sha256": sum}
	default:
		if algorithm, sum, ok := strings.Cut(src.Attrs[pb.AttrHTTPChecksum], ":"); ok {
			d.Digest = map[string]string{algorithm: sum}
			return d, nil
		}
		d.Annotations = map[string]any{slsa.AnnotationIncomplete: true}
	}
	return d, nil
}

// isPinned reports whether an identifier holds the digest of what it is for.
func isPinned(identifier string) bool {
	scheme, rest, _ := strings.Cut(identifier, "://")
	return slices.Contains(pinnedSchemes, scheme) && strings.Contains(rest, "@sha256:")
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
