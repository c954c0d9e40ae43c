// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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

// How `cosign save` marks, in a folder with one image, what a registry would
// have under a tag
// (https://github.com/sigstore/cosign/blob/v3.1.3/pkg/oci/layout/index.go).
const (
	annotationKind = "kind"
	kindImage      = "dev.cosignproject.cosign/image"
	kindIndex      = "dev.cosignproject.cosign/imageIndex"
)

// maxUnlisted bounds, in bytes, the blobs that are taken for manifests which
// cosign did not list; those it writes have about one thousand.
const maxUnlisted = 64 << 10

var kindSuffixes = map[string]string{
	"dev.cosignproject.cosign/sigs": ".sig",
	"dev.cosignproject.cosign/atts": ".att",
}

// isEvidence reports whether an entry of index.json says that it is about an
// image, and not one itself.
func isEvidence(d ocispec.Descriptor) bool {
	return d.ArtifactType != "" || evidenceTag.MatchString(tagIn(d)) || kindSuffixes[d.Annotations[annotationKind]] != ""
}

// tagIn is the tag of an entry; some tools write the repository before it.
func tagIn(d ocispec.Descriptor) string {
	name := d.Annotations[ocispec.AnnotationRefName]
	return name[strings.LastIndexByte(name, ':')+1:]
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
		if tagIn(d) == fallbackTag(dgst) {
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
		if kind := d.Annotations[annotationKind]; kind == kindImage || kind == kindIndex {
			more, err := l.unlisted(ctx, dgst)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
		}
	}
	return list, nil
}

// unlisted finds the referrers among the blobs: `cosign save` writes them and
// lists them nowhere, and `cosign load` looks for them in the same way.
func (l *Layout) unlisted(ctx context.Context, subject digest.Digest) ([]ocispec.Descriptor, error) {
	files, err := os.ReadDir(filepath.Join(l.dir, ocispec.ImageBlobsDir, digest.SHA256.String()))
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrLayout, l.dir, err)
	}
	if len(files) > document.MaxEntries {
		return nil, fmt.Errorf("%w: %s holds %d blobs, at most %d are looked at", limit.ErrTooLarge, l.dir, len(files), document.MaxEntries)
	}
	var list []ocispec.Descriptor
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Size() > maxUnlisted {
			continue
		}
		if d := digest.NewDigestFromEncoded(digest.SHA256, f.Name()); l.refers(ctx, d, subject) {
			list = append(list, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: d, Size: info.Size()})
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

// Tagged implements Location.
func (l *Layout) Tagged(_ context.Context, tag string) (digest.Digest, error) {
	if !tagShape.MatchString(tag) {
		return "", fmt.Errorf("%w: %q is not a tag", ErrReference, tag)
	}
	entries, err := l.entries()
	if err != nil {
		return "", err
	}
	var image digest.Digest
	for _, d := range entries {
		kind := d.Annotations[annotationKind]
		if kind == kindImage || kind == kindIndex {
			image = d.Digest
		}
		if tagIn(d) == tag {
			return d.Digest, nil
		}
	}
	// What cosign saved is about the one image of the folder.
	for _, d := range entries {
		if suffix := kindSuffixes[d.Annotations[annotationKind]]; suffix != "" && tag == fallbackTag(image)+suffix {
			return d.Digest, nil
		}
	}
	return "", nil
}
