// SPDX-License-Identifier: Apache-2.0

package reproduce

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/internal/document"
)

const (
	// maxLayer bounds a layer's tar, in bytes. Nothing of it is kept.
	maxLayer = 64 << 30
	// maxFiles bounds how many entries of one layer are kept in memory.
	maxFiles = 1_000_000
	// maxZstdMemory bounds what the decompressor may use, in bytes.
	maxZstdMemory = 256 << 20
)

// ErrLayer reports a layer that cannot be read.
var ErrLayer = errors.New("unreadable layer")

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// A node is one entry of a layer, without its content.
type node struct {
	kind       byte
	mode       int64
	uid, gid   int
	size       int64
	mtime      int64 // nanoseconds since 1970
	link       string
	device     [2]int64
	attributes string
	sum        [sha256.Size]byte
}

// A blob is a layer as the manifest has it, and the digest of its content as
// the config has it.
type blob struct {
	ocispec.Descriptor
	content digest.Digest
}

// layer is the i-th of the image.
func (s *side) layer(i int) blob {
	return blob{s.manifest.Layers[i], s.config.RootFS.DiffIDs[i]}
}

// eachFile streams a layer and calls visit for every entry, in order. What
// visit does not read is read past. At the end the bytes must hash to the digest
// in the manifest, and the tar to the one in the config: only the latter is
// signed.
func eachFile(ctx context.Context, store document.Store, desc blob, visit func(*tar.Header, io.Reader) error) error {
	if err := document.CheckDigest(desc.Digest); err != nil {
		return err
	}
	body, err := store.Open(ctx, document.Blob, desc.Digest)
	if err != nil {
		return fmt.Errorf("layer %s: %w", desc.Digest, err)
	}
	defer body.Close()
	in := &bounded{in: body, hash: sha256.New(), left: desc.Size}
	plain, done, err := decompress(in, desc.MediaType)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrLayer, desc.Digest, err)
	}
	defer done()
	out := &bounded{in: plain, hash: sha256.New(), left: maxLayer}
	if err := walkTar(ctx, out, visit); err != nil {
		return fmt.Errorf("layer %s: %w", desc.Digest, err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrLayer, desc.Digest, err)
	}
	if err := in.is(desc.Digest); err != nil {
		return err
	}
	return out.is(desc.content)
}

// is demands that the bytes read have the digest.
func (b *bounded) is(want digest.Digest) error {
	if got := hex.EncodeToString(b.hash.Sum(nil)); got != want.Encoded() {
		return fmt.Errorf("%w: asked for layer %s, got bytes of sha256:%s", document.ErrDigest, want, got)
	}
	return nil
}

func walkTar(ctx context.Context, in io.Reader, visit func(*tar.Header, io.Reader) error) error {
	tr := tar.NewReader(in)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, in) // the padding counts for the digest
			return err
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrLayer, err)
		}
		if err := visit(hdr, tr); err != nil {
			return err
		}
	}
}

// bounded reads at most left bytes, and digests what it has read. What ended it
// stays: a registry's answer that is read past its end is asked for again.
type bounded struct {
	in    io.Reader
	hash  hash.Hash
	left  int64
	ended error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.ended != nil {
		return 0, b.ended
	}
	n, err := b.in.Read(p)
	b.ended = err
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: the layer is longer than it should be", limit.ErrTooLarge)
	}
	b.hash.Write(p[:n])
	return n, err
}

func decompress(in io.Reader, mediaType string) (io.Reader, func(), error) {
	kind := mediaType[strings.LastIndexAny(mediaType, "+.")+1:]
	switch kind {
	case "gzip":
		r, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, err
		}
		return r, func() { _ = r.Close() }, nil
	case "zstd":
		r, err := zstd.NewReader(in, zstd.WithDecoderMaxMemory(maxZstdMemory), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return r, r.Close, nil
	case "tar":
		return in, func() {}, nil
	}
	return nil, nil, fmt.Errorf("media type %q is not one of a layer", mediaType)
}

// files digests every file of a layer.
func files(ctx context.Context, store document.Store, desc blob) (map[string]node, error) {
	found := map[string]node{}
	err := eachFile(ctx, store, desc, func(hdr *tar.Header, content io.Reader) error {
		if len(found) == maxFiles {
			return fmt.Errorf("%w: more than %d files", limit.ErrTooLarge, maxFiles)
		}
		h := sha256.New()
		if _, err := io.Copy(h, content); err != nil {
			return fmt.Errorf("%w: %w", ErrLayer, err)
		}
		n := node{
			kind: hdr.Typeflag, mode: hdr.Mode, uid: hdr.Uid, gid: hdr.Gid, size: hdr.Size, mtime: hdr.ModTime.UnixNano(),
			link: hdr.Linkname, device: [2]int64{hdr.Devmajor, hdr.Devminor}, attributes: attributes(hdr.PAXRecords),
		}
		copy(n.sum[:], h.Sum(nil))
		found[name(hdr)] = n
		return nil
	})
	return found, err
}

// name is the path in the container.
func name(hdr *tar.Header) string { return path.Join("/", hdr.Name) }

// attributes are the extended attributes, as one text that can be compared.
func attributes(records map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(records)) {
		if strings.HasPrefix(key, "SCHILY.xattr.") {
			fmt.Fprintf(&b, "%q=%q ", key, records[key])
		}
	}
	return b.String()
}

// differs lists in what two entries of the same path differ.
func (n node) differs(o node) []string {
	var in []string
	add := func(what string, different bool) {
		if different {
			in = append(in, what)
		}
	}
	add("kind", n.kind != o.kind)
	add("content", n.sum != o.sum || n.size != o.size)
	add("link", n.link != o.link)
	add("device", n.device != o.device)
	add("mode", n.mode != o.mode)
	add("owner", n.uid != o.uid || n.gid != o.gid)
	add("xattrs", n.attributes != o.attributes)
	add("mtime", n.mtime != o.mtime)
	return in
}

// heads reads the beginnings of the files in want.
func heads(ctx context.Context, store document.Store, desc blob, want map[string]bool) (map[string][]byte, error) {
	found := map[string][]byte{}
	err := eachFile(ctx, store, desc, func(hdr *tar.Header, content io.Reader) error {
		if !want[name(hdr)] || hdr.Typeflag != tar.TypeReg {
			return nil
		}
		data, err := io.ReadAll(io.LimitReader(content, maxHead))
		found[name(hdr)] = data
		return err
	})
	return found, err
}
