// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/trust"
)

// Bounds of an archive. That of public-good with all its old roots has 400 kB.
const (
	maxArchive = 16 << 20
	maxUnpack  = 32 << 20
	maxEntries = 2000
)

// ErrArchive reports an archive that is no repository: broken, too large, or
// with entries that no repository has.
var ErrArchive = errors.New("invalid repository archive")

// FromRepository reads the trusted root out of a TUF repository that a
// TrustRoot document carries as a gzipped tar. It needs no network and writes
// no file. root is the root.json to begin with; targets and target are the
// defaults where empty.
//
// As with policy-controller, metadata that has expired is refused, without a
// grace period: trust.ErrStale and ErrExpired. The document's author says how
// long it is good for by the expiry of the metadata in it. All errors are
// trust.ErrRoot as well.
func FromRepository(root, tarGz []byte, targets, target string) (*trust.Root, error) {
	return FromRepositoryAt(root, tarGz, targets, target, time.Now())
}

// FromRepositoryAt is FromRepository at a time.
func FromRepositoryAt(root, tarGz []byte, targets, target string, now time.Time) (*trust.Root, error) {
	files, err := unpack(tarGz)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", trust.ErrRoot, err)
	}
	source := trust.Source{Mirror: archiveURL, Targets: first(targets, DefaultTargets), Target: first(target, DefaultTarget)}
	data, _, err := refresh(root, source, "", files, now)
	if errors.Is(err, ErrExpired) {
		return nil, fmt.Errorf("%w: %w: %w; put a newer repository into the document, or use a trusted_root.json", trust.ErrRoot, trust.ErrStale, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", trust.ErrRoot, err)
	}
	return trust.ParsePart(data)
}

// archiveURL is what the files of an archive are below, for go-tuf.
const archiveURL = "archive://repository"

// archive maps paths in the repository to what is there.
type archive map[string][]byte

// DownloadFile is that of go-tuf's Fetcher.
func (a archive) DownloadFile(url string, maxLength int64, _ time.Duration) ([]byte, error) {
	name := strings.TrimPrefix(url, archiveURL+"/")
	data, there := a[name]
	if !there {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: name}
	}
	if int64(len(data)) > maxLength {
		return nil, &metadata.ErrDownloadLengthMismatch{Msg: fmt.Sprintf("%s has %d bytes, more than %d", name, len(data), maxLength)}
	}
	return data, nil
}

func unpack(tarGz []byte) (archive, error) {
	if len(tarGz) > maxArchive {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrArchive, len(tarGz), maxArchive)
	}
	zip, err := gzip.NewReader(bytes.NewReader(tarGz))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	// All at once, so that the checksum at the end has been seen.
	data, err := limit.ReadAll(zip, maxUnpack)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	files := archive{}
	left := int64(maxUnpack) // a sparse file is larger than what it takes
	for r, n := tar.NewReader(bytes.NewReader(data)), 0; ; n++ {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrArchive, err)
		}
		if n == maxEntries {
			return nil, fmt.Errorf("%w: more than %d entries", ErrArchive, maxEntries)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		name, err := entryName(header)
		if err != nil {
			return nil, err
		}
		if _, twice := files[name]; twice {
			return nil, fmt.Errorf("%w: %q is there twice", ErrArchive, name)
		}
		files[name], err = limit.ReadAll(r, min(left, maxFile))
		if err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrArchive, header.Name, err)
		}
		left -= int64(len(files[name]))
	}
}

// entryName is the path in the repository. policy-controller's archives have
// everything below repository/, and ours need not.
func entryName(h *tar.Header) (string, error) {
	if h.Typeflag != tar.TypeReg {
		return "", fmt.Errorf("%w: %q is neither a file nor a folder", ErrArchive, h.Name)
	}
	if slices.Contains(strings.Split(h.Name, "/"), "..") || strings.ContainsAny(h.Name, "\\\x00") {
		return "", fmt.Errorf("%w: %q leads elsewhere", ErrArchive, h.Name)
	}
	name := strings.TrimPrefix(path.Join("/", h.Name), "/")
	return strings.TrimPrefix(name, "repository/"), nil
}
