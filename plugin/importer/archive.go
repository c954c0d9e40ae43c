// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
)

const (
	// maxEntries bounds how many files an archive may have.
	maxEntries = 100_000
	// maxDocument bounds, in bytes, what is looked at as a document; the rest
	// are layers. SBOMs of large images have 80 MB and are not looked at.
	maxDocument = 16 << 20
	// maxDocuments bounds all documents of an archive, in bytes: they are
	// copied to where evidence is read from.
	maxDocuments = 1 << 30
	// maxIndex bounds index.json, in bytes.
	maxIndex = 4 << 20
)

var blobShape = regexp.MustCompile(`^blobs/sha256/([0-9a-f]{64})$`)

// An archive is a tar whose every blob has been read and has its digest.
type archive struct {
	file *os.File
	// dir is a folder that has the small blobs as an image layout.
	dir string
	// blobs are the sizes of all blobs.
	blobs map[digest.Digest]int64
	index ocispec.Index
	// layout and documents are what was seen so far, for limits.
	layout    bool
	documents int64
}

// read goes through the file once.
func read(ctx context.Context, file, dir string) (*archive, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not make it wait
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	a := &archive{file: f, dir: dir, blobs: map[digest.Digest]int64{}}
	if err := a.scan(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrArchive, file, err), f.Close())
	}
	return a, nil
}

func (a *archive) scan(ctx context.Context) error {
	info, err := a.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file: write the archive to one")
	}
	if err := os.MkdirAll(filepath.Join(a.dir, ocispec.ImageBlobsDir, "sha256"), 0o700); err != nil {
		return err
	}
	seen := map[string]bool{}
	err = each(ctx, a.file, func(name string, size int64, content io.Reader) error {
		if seen[name] {
			return fmt.Errorf("%s is in it twice", name)
		}
		seen[name] = true
		return a.entry(name, size, content)
	})
	switch {
	case err != nil:
		return err
	case !a.layout:
		return errors.New("it has no " + ocispec.ImageLayoutFile + ": make it with docker buildx build --output type=oci, skopeo copy … oci-archive:… or ctr images export")
	case !seen[ocispec.ImageIndexFile]:
		return errors.New("it has no " + ocispec.ImageIndexFile)
	}
	return nil
}

// each calls visit for every file of the tar. Names that lead elsewhere, links,
// devices and files with holes are refused: no tool writes them into an image
// layout.
func each(ctx context.Context, f *os.File, visit func(name string, size int64, content io.Reader) error) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	tr := tar.NewReader(f)
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w; give a tar that is not compressed", err)
		}
		if n == maxEntries {
			return fmt.Errorf("%w: more than %d files", limit.ErrTooLarge, maxEntries)
		}
		name := path.Clean(h.Name)
		if strings.HasPrefix(h.Name, "/") || !filepath.IsLocal(name) || strings.ContainsAny(name, "\\\x00") {
			return fmt.Errorf("%q is a name that leads out of it", h.Name)
		}
		switch {
		case h.Typeflag == tar.TypeDir:
			continue
		case h.Typeflag != tar.TypeReg || sparse(h):
			return fmt.Errorf("%q is no plain file", h.Name)
		}
		if err := visit(name, h.Size, tr); err != nil {
			return err
		}
	}
}

// sparse tells that the size of a file says nothing of how much there is of it.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func (a *archive) entry(name string, size int64, content io.Reader) error {
	switch {
	case name == ocispec.ImageLayoutFile:
		return a.readLayout(content)
	case name == ocispec.ImageIndexFile:
		return a.readIndex(content)
	case strings.HasPrefix(name, ocispec.ImageBlobsDir+"/"):
		return a.readBlob(name, size, content)
	}
	return nil // such as manifest.json for old Docker
}

func (a *archive) readLayout(content io.Reader) error {
	data, err := limit.ReadAll(content, 4<<10)
	if err != nil {
		return fmt.Errorf("%s: %w", ocispec.ImageLayoutFile, err)
	}
	var layout ocispec.ImageLayout
	if err := strictjson.UnmarshalOpen(data, &layout); err != nil {
		return fmt.Errorf("%s: %w", ocispec.ImageLayoutFile, err)
	}
	if layout.Version != ocispec.ImageLayoutVersion {
		return fmt.Errorf("%s has version %q, want %s", ocispec.ImageLayoutFile, layout.Version, ocispec.ImageLayoutVersion)
	}
	a.layout = true
	return nil
}

func (a *archive) readIndex(content io.Reader) error {
	data, err := limit.ReadAll(content, maxIndex)
	if err != nil {
		return fmt.Errorf("%s: %w", ocispec.ImageIndexFile, err)
	}
	if err := strictjson.UnmarshalOpen(data, &a.index); err != nil {
		return fmt.Errorf("%s: %w", ocispec.ImageIndexFile, err)
	}
	return nil
}

// readBlob demands that a blob is what its name says.
func (a *archive) readBlob(name string, size int64, content io.Reader) error {
	m := blobShape.FindStringSubmatch(name)
	if m == nil {
		return fmt.Errorf("%q is no name of a blob, want blobs/sha256/ and 64 digits", name)
	}
	sum := sha256.New()
	var out io.Writer = sum
	if size <= maxDocument {
		if a.documents += size; a.documents > maxDocuments {
			return fmt.Errorf("%w: documents of more than %d bytes", limit.ErrTooLarge, int64(maxDocuments))
		}
		f, err := os.OpenFile(filepath.Join(a.dir, filepath.FromSlash(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		out = io.MultiWriter(sum, f)
	}
	if _, err := io.Copy(out, content); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	want := digest.NewDigestFromEncoded(digest.SHA256, m[1])
	if got := digest.NewDigest(digest.SHA256, sum); got != want {
		return fmt.Errorf("the bytes of %s are %s", name, got)
	}
	a.blobs[want] = size
	return nil
}
