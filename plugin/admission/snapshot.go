// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/strictjson"
)

// maxSnapshot bounds a snapshot, in bytes: some ten thousand images.
const maxSnapshot = 16 << 20

// A Snapshot lists images that were on the node at a time and keep starting.
type Snapshot struct {
	TakenAt time.Time `json:"takenAt"`
	Images  []Pinned  `json:"images"`
}

// Pinned is one image: what it was called, and the digests of its index, its
// manifest for this node and that one's config.
type Pinned struct {
	Name    string          `json:"name"`
	Digests []digest.Digest `json:"digests"`
}

// ReadSnapshot reads a snapshot; without the file it is an empty one, which is
// also what comes with an error, as when others could have written it.
func ReadSnapshot(path string) (Snapshot, error) {
	data, err := readOwn(path, maxSnapshot, 0o022)
	if errors.Is(err, fs.ErrNotExist) {
		return Snapshot{}, nil
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("%w: snapshot: %w", ErrFile, err)
	}
	var s Snapshot
	if err := strictjson.Unmarshal(data, &s); err != nil {
		return Snapshot{}, fmt.Errorf("%w: snapshot: %s: %w", ErrFile, path, err)
	}
	for _, img := range s.Images {
		for _, d := range img.Digests {
			if err := d.Validate(); err != nil {
				return Snapshot{}, fmt.Errorf("%w: snapshot: %s: %s: %w", ErrFile, path, img.Name, err)
			}
		}
	}
	return s, nil
}

// WriteSnapshot replaces the snapshot.
func WriteSnapshot(path string, s Snapshot) error { return writeJSON(path, s) }

// Has returns the name of the pinned image that has one of the digests, or "".
func (s Snapshot) Has(digests ...digest.Digest) string {
	for _, img := range s.Images {
		for _, d := range digests {
			if d != "" && slices.Contains(img.Digests, d) {
				return img.Name
			}
		}
	}
	return ""
}

// Covers returns the name of a pinned image that an image is, or "": its own
// digest is pinned, or all of the others that name it are. One of them is not
// enough: anybody can list a pinned manifest in an index beside another one.
func (s Snapshot) Covers(image digest.Digest, others ...digest.Digest) string {
	if name := s.Has(image); name != "" {
		return name
	}
	name := ""
	for _, d := range others {
		if d == "" {
			continue
		}
		if name = s.Has(d); name == "" {
			return ""
		}
	}
	return name
}
