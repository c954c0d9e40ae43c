// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// materials says what the image may be made from, by its provenance.
type materials struct {
	complete bool
	// basePolicy is the policy for base images, "" for none.
	basePolicy string
	deny       []deniedMaterial
}

// deniedMaterial is one by URI or digest; both: either.
type deniedMaterial struct {
	uri *regexp.Regexp
	// algorithm and sum are those of a digest.
	algorithm, sum string
	reason         string
}

func (*materials) name() string { return conditionMaterials }

func buildMaterials(b *builder, p *spec.ImagePolicy) {
	s := p.Materials
	if s == nil {
		return
	}
	m := &materials{complete: s.Complete}
	if s.BaseImages != nil {
		if m.basePolicy = s.BaseImages.Policy; m.basePolicy == "" {
			b.fault(s.BaseImages.At, "baseImages.policy names no policy")
		}
	}
	for _, d := range s.Deny {
		m.deny = append(m.deny, b.deniedMaterial(d))
	}
	if !m.complete && m.basePolicy == "" && len(m.deny) == 0 {
		b.fault(s.At, "materials demands nothing: give complete, baseImages or deny, or leave it out")
	}
	b.add(s.At, m)
}

// validSum is a digest of in-toto: an algorithm such as sha256 or gitCommit.
var validSum = regexp.MustCompile(`^([A-Za-z0-9_]+):([0-9a-f]{32,128})$`)

func (b *builder) deniedMaterial(s spec.Material) deniedMaterial {
	d := deniedMaterial{reason: s.Reason}
	if s.URI == "" && s.Digest == "" {
		b.fault(s.At, "a material to deny needs a uri or a digest")
	}
	if s.URI != "" {
		d.uri = wildcards(s.URI)
	}
	if s.Digest != "" {
		m := validSum.FindStringSubmatch(s.Digest)
		if m == nil {
			b.fault(s.At, "digest %q: want an algorithm and hexadecimal digits, such as sha256:… or gitCommit:…", s.Digest)
			return d
		}
		d.algorithm, d.sum = m[1], m[2]
	}
	return d
}

func (m *materials) check(ctx context.Context, f *facts) (time.Time, error) {
	builds, err := f.builds()
	if err != nil {
		return time.Time{}, err
	}
	whole := false
	var gaps string
	for i := range builds {
		for _, dep := range builds[i].BuildDefinition.ResolvedDependencies {
			if err := m.denied(dep); err != nil {
				return time.Time{}, err
			}
		}
		ok, why := builds[i].complete()
		whole = whole || ok
		gaps = why
	}
	if m.complete && !whole {
		return time.Time{}, refuse(ErrIncomplete, "pin what the build takes, and run its steps without network", "%s", gaps)
	}
	if m.basePolicy == "" {
		return time.Time{}, nil
	}
	for i := range builds {
		if err := m.baseImages(ctx, f, &builds[i]); err != nil {
			return time.Time{}, err
		}
	}
	return time.Time{}, nil
}

func (m *materials) denied(dep slsa.ResourceDescriptor) error {
	for _, d := range m.deny {
		if d.uri != nil && d.uri.MatchString(dep.URI) || d.sum != "" && dep.Digest[d.algorithm] == d.sum {
			return refuse(ErrMaterial, "build it from something else", "%s%s", materialName(dep), because(d.reason))
		}
	}
	return nil
}

func materialName(dep slsa.ResourceDescriptor) string {
	if dep.URI == "" {
		return dep.Name
	}
	return dep.URI
}

// complete reports whether the provenance says that it tells all materials.
// Only plomb's build type can: SLSA leaves it to the builder.
func (b *built) complete() (whole bool, why string) {
	if !b.byPlomb() {
		return false, fmt.Sprintf("build type %s does not tell whether the materials are complete", b.BuildDefinition.BuildType)
	}
	var internal struct {
		Completeness *slsa.Completeness `json:"completeness"`
	}
	if err := strictjson.UnmarshalOpen(b.internal(), &internal); err != nil || internal.Completeness == nil {
		return false, "the frontend did not tell whether the materials are complete"
	}
	c := internal.Completeness
	if !c.Complete || len(c.Gaps) > 0 {
		if len(c.Gaps) == 0 {
			return false, "the provenance calls them incomplete"
		}
		return false, strings.TrimSpace(fmt.Sprintf("%s %s, %d gaps", c.Gaps[0].Kind, c.Gaps[0].Name, len(c.Gaps)))
	}
	for _, dep := range b.BuildDefinition.ResolvedDependencies {
		if len(dep.Digest) == 0 || dep.Annotations[slsa.AnnotationIncomplete] == true {
			return false, materialName(dep) + " has no digest"
		}
	}
	return true, ""
}

func (b *built) internal() json.RawMessage {
	if len(b.BuildDefinition.InternalParameters) == 0 {
		return json.RawMessage("{}")
	}
	return b.BuildDefinition.InternalParameters
}

// baseImages has every container image among the materials judged by the policy
// for base images. A build from scratch has none; but where the provenance is
// not plomb's, which lists them all, none may also mean that nobody looked.
func (m *materials) baseImages(ctx context.Context, f *facts, b *built) error {
	found := false
	for _, dep := range b.BuildDefinition.ResolvedDependencies {
		if !isImage(dep.URI) || b.byPlomb() && dep.Name == "frontend" {
			continue
		}
		found = true
		name := imageReference(dep.URI)
		if name == "" {
			return refuse(ErrBaseImage, "build from an image in a registry", "%s has no name that a policy could be about", dep.URI)
		}
		dgst := digest.Digest("sha256:" + dep.Digest["sha256"])
		if !validSHA256.MatchString(dgst.String()) {
			return refuse(ErrIncomplete, "pin the base image by its digest", "%s has no SHA-256", dep.URI)
		}
		if err := f.evidence.Material(ctx, name, dgst, m.basePolicy); err != nil {
			return refuse(ErrBaseImage, "build from an image that policy "+m.basePolicy+" admits", "%s@%s: %w", name, dgst, err)
		}
	}
	if !found && !b.byPlomb() {
		return refuse(ErrIncomplete, "build with plomb, whose provenance lists all images", "build type %s lists no image, and may leave them out", b.BuildDefinition.BuildType)
	}
	return nil
}

// isImage reports whether a material is a container image, whoever wrote it
// down.
func isImage(uri string) bool {
	for _, prefix := range []string{"pkg:docker/", "pkg:oci/", "docker-image://", "oci-layout://", "docker://", "oci://"} {
		if strings.HasPrefix(strings.ToLower(uri), prefix) {
			return true
		}
	}
	return false
}

// imageReference is the name of an image among the materials, without digest;
// "" if it has none.
func imageReference(uri string) string {
	name := dockerName(uri)
	for _, scheme := range []string{"docker-image://", "docker://", "oci://"} {
		if rest, ok := strings.CutPrefix(uri, scheme); ok {
			name = rest
		}
	}
	if name == "" {
		return ""
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return ""
	}
	if tagged, ok := named.(reference.Tagged); ok {
		return named.Name() + ":" + tagged.Tag()
	}
	return named.Name()
}
