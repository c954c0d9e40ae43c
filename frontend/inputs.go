// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/lineage"
	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/slsa"
)

// checksumNames are SPDX's names of the digests that a dependency can have.
var checksumNames = map[string]string{"sha256": "SHA256", "sha512": "SHA512", "sha1": "SHA1", "gitCommit": "SHA1"}

// inputs lists what the build used beside the base image, which may be nil:
// images of other stages, as tools if a step ran in them, and what was
// downloaded.
func inputs(def *pb.Definition, base *sbom.BaseImage, self string, facts materials.Facts) ([]sbom.Input, error) {
	roots, err := lineage.Roots(def)
	if err != nil {
		return nil, err
	}
	tools := map[string]bool{}
	for _, dt := range def.Def {
		var op pb.Op
		if err := proto.Unmarshal(dt, &op); err != nil {
			return nil, fmt.Errorf("read the build graph: %w", err)
		}
		if src := op.GetSource(); src != nil && roots[digest.FromBytes(dt)] && strings.HasPrefix(src.Identifier, lineage.ImageScheme) {
			d, err := materials.Image(strings.TrimPrefix(src.Identifier, lineage.ImageScheme), op.Platform)
			if err != nil {
				return nil, err
			}
			tools[d.URI] = true
		}
	}
	resolved, err := materials.Of([]*pb.Definition{def}, self, facts)
	if err != nil {
		return nil, err
	}
	var out []sbom.Input
	for _, d := range resolved {
		if base != nil && d.URI == base.PURL || strings.HasPrefix(d.URI, "local://") {
			continue
		}
		out = append(out, input(d, tools[d.URI]))
	}
	return out, nil
}

func input(d slsa.ResourceDescriptor, tool bool) sbom.Input {
	in := sbom.Input{Name: d.URI, URI: d.URI, Use: sbom.UseDependency}
	if tool {
		in.Use = sbom.UseTool
	}
	if strings.HasPrefix(d.URI, "pkg:") {
		in.PURL = d.URI
		name, _, _ := strings.Cut(strings.TrimPrefix(d.URI, "pkg:docker/"), "?")
		in.Name = strings.Replace(name, "@", ":", 1)
	}
	for algorithm, sum := range d.Digest {
		if name := checksumNames[algorithm]; name != "" && !(algorithm == "gitCommit" && len(sum) != 40) {
			in.Checksums = map[string]string{name: sum}
		}
	}
	return in
}

// baseImage describes the source that the target stage starts from, nil if it
// is no image.
func baseImage(source string, platform ocispecs.Platform, doc *sbom.Document) (*sbom.BaseImage, error) {
	name, ok := strings.CutPrefix(source, lineage.ImageScheme)
	if !ok {
		return nil, nil
	}
	p := pb.PlatformFromSpec(platform)
	d, err := materials.Image(name, p)
	if err != nil {
		return nil, err
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, fmt.Errorf("base image %q: %w", name, err)
	}
	base := &sbom.BaseImage{Reference: reference.TrimNamed(named).String(), PURL: d.URI, SBOM: doc}
	if tagged, ok := named.(reference.Tagged); ok {
		base.Reference += ":" + tagged.Tag()
	}
	if canonical, ok := named.(reference.Canonical); ok {
		base.Digest = canonical.Digest().String()
	}
	return base, nil
}
