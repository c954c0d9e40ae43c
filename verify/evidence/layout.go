// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/internal/document"
)

// LayoutScheme is what an image in a folder starts with on a command line.
const LayoutScheme = "oci-layout:"

// ErrLayout reports a folder that is not an OCI image layout, or an image that
// is not in it.
var ErrLayout = errors.New("OCI image layout")

// A Layout is an OCI image layout on disk
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md).
// It never touches the network.
type Layout struct {
	dir string
}

var _ Location = (*Layout)(nil)

// OpenLayout opens the layout that `DIR[:TAG]` names and finds the digest of
// the image in it. Without a tag there must be exactly one; what refers to an
// image is none.
func OpenLayout(spec string) (*Layout, digest.Digest, error) {
	dir, tag := splitLayout(spec)
	l := &Layout{dir: dir}
	entries, err := l.entries()
	if err != nil {
		return nil, "", err
	}
	var found []digest.Digest
	var tags []string
	for _, d := range entries {
		name := d.Annotations[ocispec.AnnotationRefName]
		if tag == "" && isEvidence(d) {
			continue
		}
		tags = append(tags, name)
		if tag == "" || name == tag {
			found = append(found, d.Digest)
		}
	}
	if len(found) != 1 {
		slices.Sort(tags)
		return nil, "", fmt.Errorf("%w %s: %d images match %q; say which as %sDIR:TAG, the tags are: %s",
			ErrLayout, dir, len(found), tag, LayoutScheme, strings.Join(tags, " "))
	}
	return l, found[0], nil
}

// entries reads index.json.
func (l *Layout) entries() ([]ocispec.Descriptor, error) {
	data, err := limit.ReadFile(filepath.Join(l.dir, ocispec.ImageIndexFile), document.MaxManifest)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w; give a folder that holds %s", ErrLayout, l.dir, err, ocispec.ImageIndexFile)
	}
	var idx ocispec.Index
	if err := strictjson.UnmarshalOpen(data, &idx); err != nil {
		return nil, fmt.Errorf("%w %s: %s: %w", ErrLayout, l.dir, ocispec.ImageIndexFile, err)
	}
	return idx.Manifests, nil
}

// splitLayout takes the tag off, unless the whole is a folder whose name has a
// colon in it.
func splitLayout(spec string) (dir, tag string) {
	if info, err := os.Stat(spec); err == nil && info.IsDir() {
		return spec, ""
	}
	if i := strings.LastIndexByte(spec, ':'); i > 0 {
		return spec[:i], spec[i+1:]
	}
	return spec, ""
}

// Open implements document.Store.
func (l *Layout) Open(_ context.Context, kind document.Kind, dgst digest.Digest) (io.ReadCloser, error) {
	path := filepath.Join(l.dir, ocispec.ImageBlobsDir, dgst.Algorithm().String(), dgst.Encoded())
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s %s is not in %s", ErrNotFound, kind, dgst, l.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrLayout, l.dir, err)
	}
	return f, nil
}

// Requests is always 0.
func (l *Layout) Requests() int { return 0 }
