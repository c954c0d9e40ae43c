// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/plugin/judge"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/policy"
)

// annotationName is how containerd and BuildKit write the whole name of an
// image into index.json.
const annotationName = "io.containerd.image.name"

// maxImages bounds how many images one archive may hold.
const maxImages = 256

// errName reports an image whose name alone would admit it.
var errName = fmt.Errorf("%w: a policy admits the name, and anybody can write a name into an archive: sign the image, or pull it from its registry", verify.ErrUnsigned)

// evidenceTag is the shape of tags under which signatures are kept.
var evidenceTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$`)

// A choice is an image of the archive, and its name on the node.
type choice struct {
	name string
	desc ocispec.Descriptor
}

// images are those of the archive. Each has to have a fully qualified name, in
// index.json or given for the only one.
func (a *archive) images(name string) ([]choice, error) {
	var found []choice
	for _, d := range a.index.Manifests {
		if isEvidence(d) {
			continue
		}
		found = append(found, choice{name: nameOf(d), desc: d})
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("%w: %s lists no image", ErrArchive, ocispec.ImageIndexFile)
	case len(found) > maxImages:
		return nil, fmt.Errorf("%w: it holds %d images, want at most %d", ErrArchive, len(found), maxImages)
	case name != "" && len(found) > 1:
		return nil, fmt.Errorf("%w: it holds %d images, and a name was given for one", ErrArchive, len(found))
	case name != "":
		found[0].name = name
	}
	seen := map[string]bool{}
	for _, c := range found {
		switch {
		case c.name == "":
			return nil, fmt.Errorf("%w: %s has no full name in %s: say it with --name", ErrArchive, c.desc.Digest, ocispec.ImageIndexFile)
		case seen[c.name]:
			return nil, fmt.Errorf("%w: two images are called %s", ErrArchive, c.name)
		}
		seen[c.name] = true
		if err := evidence.CheckQualified(c.name); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrArchive, err)
		}
		if err := c.desc.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrArchive, c.name, err)
		}
	}
	return found, nil
}

// nameOf is the full name in a descriptor, or "".
func nameOf(d ocispec.Descriptor) string {
	if name := d.Annotations[annotationName]; name != "" {
		return name
	}
	if name := d.Annotations[ocispec.AnnotationRefName]; strings.Contains(name, "/") {
		return name
	}
	return ""
}

// isEvidence tells that an entry is about an image, and not one.
func isEvidence(d ocispec.Descriptor) bool {
	return d.ArtifactType != "" || evidenceTag.MatchString(tagOf(d))
}

func tagOf(d ocispec.Descriptor) string {
	name := d.Annotations[ocispec.AnnotationRefName]
	return name[strings.LastIndexByte(name, ':')+1:]
}

// decide asks the policy about one image, with the archive as the only place to
// look. It always has a decision.
func decide(ctx context.Context, a *archive, j *judge.Judge, c choice) *decision.Decision {
	refused := func(err error) *decision.Decision { return verify.Refused(c.name, c.desc, err, time.Now()) }
	set, err := j.Policy()
	if err != nil {
		return refused(err)
	}
	location, err := a.location(c)
	if err != nil {
		return refused(err)
	}
	d := verify.Verify(ctx, verify.Request{
		Name: c.name, Descriptor: c.desc, Policy: set, Trust: j.TrustSource(), Location: location,
		Locate:   func(string) (evidence.Location, error) { return evidence.Offline{}, nil },
		Notation: j.Settings.Notation,
	})
	if d.Verdict == decision.Allow && !signed(set, d) {
		return refused(errName)
	}
	return d
}

// location is the archive as the place of one image: the same documents, and an
// index.json in which that image alone has the tag that is asked for.
func (a *archive) location(c choice) (evidence.Location, error) {
	const tag = "plomb-import"
	dir, err := os.MkdirTemp(a.dir, "image-")
	if err != nil {
		return nil, err
	}
	if err := os.Symlink(filepath.Join(a.dir, ocispec.ImageBlobsDir), filepath.Join(dir, ocispec.ImageBlobsDir)); err != nil {
		return nil, err
	}
	index := ocispec.Index{Versioned: a.index.Versioned, MediaType: ocispec.MediaTypeImageIndex}
	for _, d := range a.index.Manifests {
		if isEvidence(d) {
			index.Manifests = append(index.Manifests, d)
		}
	}
	index.Manifests = append(index.Manifests, ocispec.Descriptor{
		MediaType: c.desc.MediaType, Digest: c.desc.Digest, Size: c.desc.Size,
		Annotations: map[string]string{ocispec.AnnotationRefName: tag},
	})
	data, err := json.Marshal(index)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, ocispec.ImageIndexFile), data, 0o600); err != nil {
		return nil, err
	}
	layout, dgst, err := evidence.OpenLayout(dir + ":" + tag)
	if err == nil && dgst != c.desc.Digest {
		err = fmt.Errorf("%w: the tag %s is taken", ErrArchive, tag)
	}
	return layout, err
}

// signed tells that an allow rests on a signature: at least one policy that is
// obeyed was satisfied by an authority that looks at one.
func signed(set *policy.Set, d *decision.Decision) bool {
	for _, r := range d.Rules {
		if r.Mode != string(policy.Enforce) || r.Verdict != decision.Allow {
			continue
		}
		p, ok := set.Policy(r.Name)
		if !ok {
			continue
		}
		for _, a := range p.Authorities {
			if a.Name == r.Authority && a.Origin == r.AuthorityOrigin && a.Static == nil {
				return true
			}
		}
	}
	return false
}
