// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"os"

	"github.com/containerd/containerd/v2/pkg/archive"
	continuity "github.com/containerd/continuity/fs"
	"github.com/opencontainers/go-digest"
)

// foretell serialises the layer as the exporter will, and reports the digest
// and the length of the result.
func (a *applier) foretell(ctx context.Context, report *Report) error {
	plain := newMeter()
	if !a.rules.Compress {
		err := a.tar(ctx, plain)
		report.DiffID, report.Size = plain.digest(), plain.size
		return err
	}
	packed := newMeter()
	gz := gzip.NewWriter(packed)
	if err := a.tar(ctx, io.MultiWriter(plain, gz)); err != nil {
		return err
	}
	if err := gz.Close(); err != nil {
		return err
	}
	report.DiffID, report.Size = plain.digest(), plain.size
	report.Gzip = &Blob{Digest: packed.digest(), Size: packed.size}
	return nil
}

func (a *applier) tar(ctx context.Context, w io.Writer) error {
	cw := archive.NewChangeWriter(w, a.dirs.Out)
	for _, change := range a.written {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.writeTo(cw, change); err != nil {
			return err
		}
	}
	return cw.Close()
}

func (a *applier) writeTo(cw *archive.ChangeWriter, w Change) error {
	if w.Deleted {
		return cw.HandleChange(continuity.ChangeKindDelete, w.Path, nil, nil)
	}
	info, err := os.Lstat(a.dirs.Out + w.Path)
	if err != nil {
		return err
	}
	return cw.HandleChange(continuity.ChangeKindAdd, w.Path, info, nil)
}

// A meter takes the digest and the length of what is written to it.
type meter struct {
	hash hash.Hash
	size int64
}

func newMeter() *meter { return &meter{hash: sha256.New()} }

func (m *meter) Write(p []byte) (int, error) {
	m.size += int64(len(p))
	return m.hash.Write(p)
}

func (m *meter) digest() digest.Digest { return digest.NewDigest(digest.SHA256, m.hash) }
