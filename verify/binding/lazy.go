// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrLazyLayer reports a layer that a lazy-loading snapshotter would mount
// without checking it against the config.
var ErrLazyLayer = errors.New("lazily loaded layer needs a signed manifest digest")

// eagerTypes are the layer media types that containerd unpacks itself and
// compares with the config's diff_ids.
var eagerTypes = []string{
	ocispec.MediaTypeImageLayer,
	ocispec.MediaTypeImageLayerGzip,
	ocispec.MediaTypeImageLayerZstd,
	"application/vnd.docker.image.rootfs.diff.tar",
	"application/vnd.docker.image.rootfs.diff.tar.gzip",
	"application/vnd.docker.image.rootfs.diff.tar.zstd",
}

// lazyAnnotations start the names of annotations that make a snapshotter take
// a layer over.
var lazyAnnotations = []string{
	// eStargz (containerd.io/snapshot/stargz/toc.digest), nydus
	// (containerd.io/snapshot/nydus-blob, -bootstrap), overlaybd.
	"containerd.io/snapshot/",
	// SOCI v2 (com.amazon.soci.index-digest, on the manifest).
	"com.amazon.soci.",
	// zstd:chunked (…zstd-chunked.manifest-checksum, …manifest-position).
	"io.containers.",
	"io.github.containers.",
}

// checkEager demands that every layer is one that will be checked against the
// config when it is unpacked.
func checkEager(target Target) error {
	for i, layer := range target.Document.Layers {
		if !slices.Contains(eagerTypes, layer.MediaType) {
			return fmt.Errorf("%w: layer %d has media type %q", ErrLazyLayer, i, layer.MediaType)
		}
		if err := checkAnnotations(layer.Annotations); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	if err := checkAnnotations(target.Document.Annotations); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if err := checkAnnotations(target.EntryAnnotations); err != nil {
		return fmt.Errorf("descriptor: %w", err)
	}
	return nil
}

func checkAnnotations(annotations map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		for _, prefix := range lazyAnnotations {
			if strings.HasPrefix(strings.ToLower(key), prefix) {
				return fmt.Errorf("%w: annotation %q", ErrLazyLayer, key)
			}
		}
	}
	return nil
}
