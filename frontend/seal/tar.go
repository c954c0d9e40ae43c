// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"crypto/sha256"
	"io"
	"os"

	"github.com/containerd/containerd/v2/pkg/archive"
	continuity "github.com/containerd/continuity/fs"
	"github.com/opencontainers/go-digest"
)

// A written change is one that the applier made to the layer. In their order
// they are what a differ finds between the layers below and this one, because
// the applier writes nothing that is there already.
type written struct {
	path    string
	deleted bool
}

// tar serialises the layer as the exporter will, and returns the digest and
// the length of the result.
func (a *applier) tar(ctx context.Context) (digest.Digest, int64, error) {
	hash := sha256.New()
	var size counter
	cw := archive.NewChangeWriter(io.MultiWriter(hash, &size), a.dirs.Out)
	for _, w := range a.written {
		if err := ctx.Err(); err != nil {
			return "", 0, err
		}
		if err := a.writeTo(cw, w); err != nil {
			return "", 0, err
		}
	}
	if err := cw.Close(); err != nil {
		return "", 0, err
	}
	return digest.NewDigest(digest.SHA256, hash), int64(size), nil
}

func (a *applier) writeTo(cw *archive.ChangeWriter, w written) error {
	if w.deleted {
		return cw.HandleChange(continuity.ChangeKindDelete, w.path, nil, nil)
	}
	info, err := os.Lstat(a.dirs.Out + w.path)
	if err != nil {
		return err
	}
	return cw.HandleChange(continuity.ChangeKindAdd, w.path, info, nil)
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
