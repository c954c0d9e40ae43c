// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/internal/document"
)

// evidenceTag is the shape of the tags under which evidence is kept: the
// fallback tag and cosign's.
var evidenceTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$`)

// cosignKinds is how `cosign save` marks, in a folder with one image, what a
// registry would have under a tag
// (https://github.com/sigstore/cosign/blob/v3.1.3/pkg/oci/layout/index.go).
var cosignKinds = map[string]string{
	".sig": "dev.cosignproject.cosign/sigs",
	".att": "dev.cosignproject.cosign/atts",
}

const annotationCosignKind = "kind"

// isEvidence reports whether an entry of index.json says that it is about an
// image, and not one itself.
func isEvidence(d ocispec.Descriptor) bool {
	kind := d.Annotations[annotationCosignKind]
	return d.ArtifactType != "" || evidenceTag.MatchString(d.Annotations[ocispec.AnnotationRefName]) ||
		kind == cosignKinds[".sig"] || kind == cosignKinds[".att"]
}

// Referrers implements Location: the entries of index.json with that subject,
// and those under the fallback tag.
func (l *Layout) Referrers(ctx context.Context, dgst digest.Digest) ([]ocispec.Descriptor, error) {
	entries, err := l.entries()
	if err != nil {
		return nil, err
	}
	if len(entries) > document.MaxEntries {
		return nil, fmt.Errorf("%w: %s lists %d manifests, at most %d are looked at", limit.ErrTooLarge, ocispec.ImageIndexFile, len(entries), document.MaxEntries)
	}
	var list []ocispec.Descriptor
	for _, d := range entries {
		if d.Annotations[ocispec.AnnotationRefName] == fallbackTag(dgst) {
			more, err := l.fallback(ctx, d.Digest)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
			continue
		}
		if l.refers(ctx, d.Digest, dgst) {
			list = append(list, d)
		}
	}
	return list, nil
}

func (l *Layout) fallback(ctx context.Context, dgst digest.Digest) ([]ocispec.Descriptor, error) {
	data, err := document.Fetch(ctx, l, document.Manifest, dgst, document.MaxManifest)
	if err != nil {
		return nil, err
	}
	doc, err := document.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("list of referrers %s: %w", dgst, err)
	}
	if doc.Index == nil {
		return nil, fmt.Errorf("%w: %s is no list of referrers", document.ErrMalformed, dgst)
	}
	return doc.Index.Manifests, nil
}

// refers reports whether the manifest dgst names subject. A broken one names
// nothing: other images in the folder are not this one's affair.
func (l *Layout) refers(ctx context.Context, dgst, subject digest.Digest) bool {
	data, err := document.Fetch(ctx, l, document.Manifest, dgst, document.MaxManifest)
	if err != nil {
		return false
	}
	var m struct {
		Subject *ocispec.Descriptor `json:"subject"`
	}
	return strictjson.UnmarshalOpen(data, &m) == nil && m.Subject != nil && m.Subject.Digest == subject
}

// Tagged implements Location. A name with a repository, as some tools write,
// counts by its tag.
func (l *Layout) Tagged(_ context.Context, tag string) (digest.Digest, error) {
	entries, err := l.entries()
	if err != nil {
		return "", err
	}
	for _, d := range entries {
		if name := d.Annotations[ocispec.AnnotationRefName]; name == tag || strings.HasSuffix(name, ":"+tag) {
			return d.Digest, nil
		}
	}
	return l.saved(entries, tag), nil
}

// saved finds what cosign saved beside the one image of the folder.
func (l *Layout) saved(entries []ocispec.Descriptor, tag string) digest.Digest {
	var image, found digest.Digest
	for _, d := range entries {
		switch kind := d.Annotations[annotationCosignKind]; kind {
		case "dev.cosignproject.cosign/image", "dev.cosignproject.cosign/imageIndex":
			image = d.Digest
		case "":
		default:
			if strings.HasSuffix(tag, ".sig") && kind == cosignKinds[".sig"] || strings.HasSuffix(tag, ".att") && kind == cosignKinds[".att"] {
				found = d.Digest
			}
		}
	}
	if image == "" || !strings.HasPrefix(tag, fallbackTag(image)+".") {
		return ""
	}
	return found
}
