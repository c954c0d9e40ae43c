// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/durable"
	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
)

// manifestSchema identifies the form of the record.
const manifestSchema = "https://plombproject.github.io/node-install/v1"

// maxManifest bounds the record, in bytes.
const maxManifest = 1 << 20

// A manifest is what install is about to write, has written, and found there.
// It is written before any file that it names, so that a process that is killed
// leaves nothing which uninstall does not know of.
type manifest struct {
	Schema string `json:"schema"`
	// Version is that of the plomb which wrote it last, at At.
	Version string    `json:"version"`
	At      time.Time `json:"at"`
	// Folders are those that were made, outer ones first.
	Folders []string `json:"folders"`
	Files   []entry  `json:"files"`
	// Stale is the process of a containerd that runs with an older
	// configuration than the one on disk; 0: none does.
	Stale int `json:"stale,omitempty"`
	// Complete tells that the last installation came to its end.
	Complete bool `json:"complete"`
}

// An entry is one file.
type entry struct {
	Path string `json:"path"`
	// Before is what was there; nil: nothing.
	Before *kept `json:"before,omitempty"`
	// Wrote are the digests of everything that was put there, in turn.
	Wrote []digest.Digest `json:"wrote"`
	// Runtime tells that containerd reads it when it starts.
	Runtime bool `json:"runtime,omitempty"`
	// Free tells that others change it in normal use.
	Free bool `json:"free,omitempty"`
}

// kept is a file whose content lies in the backup folder, named by its digest.
type kept struct {
	Digest digest.Digest `json:"digest"`
	Mode   fs.FileMode   `json:"mode"`
}

// records is the manifest and the backups on disk.
type records struct{ state string }

func (r records) path() string { return filepath.Join(r.state, "install.json") }
func (r records) backup(d digest.Digest) string {
	return filepath.Join(r.state, "backup", d.Encoded())
}

// read returns the manifest, or nil if there is none.
func (r records) read() (*manifest, error) {
	data, err := limit.ReadFile(r.path(), maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	m, err := parseManifest(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrManifest, r.path(), err)
	}
	return m, nil
}

func parseManifest(data []byte) (*manifest, error) {
	var m manifest
	if err := strictjson.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	if m.Schema != manifestSchema {
		return nil, fmt.Errorf("schema is %q, want %s", m.Schema, manifestSchema)
	}
	for _, path := range m.Folders {
		if err := clean(path); err != nil {
			return nil, err
		}
	}
	for _, e := range m.Files {
		if err := clean(e.Path); err != nil {
			return nil, err
		}
		digests := slices.Clone(e.Wrote)
		if e.Before != nil {
			digests = append(digests, e.Before.Digest)
		}
		for _, d := range digests {
			if err := d.Validate(); err != nil {
				return nil, fmt.Errorf("%s: %w", e.Path, err)
			}
		}
	}
	return &m, nil
}

// clean refuses a path that could mean another file than it seems to.
func clean(path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || strings.ContainsRune(path, 0) {
		return fmt.Errorf("%q is no clean absolute path", path)
	}
	return nil
}

func (r records) write(m *manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(r.path(), append(data, '\n'), 0o600)
}

// note takes down that files are about to be written, and keeps what is there
// of those that were never written before. The manifest is on disk when it
// returns.
func (r records) note(m *manifest, files []File) error {
	if err := os.MkdirAll(filepath.Join(r.state, "backup"), 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrManifest, err)
	}
	for _, f := range files {
		if f.Data == nil {
			continue
		}
		i := slices.IndexFunc(m.Files, func(e entry) bool { return e.Path == f.Path })
		if i < 0 {
			before, err := r.keep(f.Path)
			if err != nil {
				return err
			}
			m.Files = append(m.Files, entry{Path: f.Path, Before: before, Runtime: f.runtime, Free: f.free})
			i = len(m.Files) - 1
		}
		m.Files[i].wrote(digest.FromBytes(f.Data))
		m.addFolders(filepath.Dir(f.Path))
	}
	return r.write(m)
}

func (r records) keep(path string) (*kept, error) {
	now, err := onDisk(path)
	if err != nil {
		return nil, fmt.Errorf("keep what is there: %w", err)
	}
	if now == nil {
		return nil, nil
	}
	d := digest.FromBytes(now.Data)
	if err := durable.WriteFile(r.backup(d), now.Data, 0o600); err != nil {
		return nil, err
	}
	return &kept{Digest: d, Mode: now.Mode}, nil
}

// kept returns the file as it was before plomb came.
func (r records) kept(e entry) (File, error) {
	f := File{Path: e.Path}
	if e.Before == nil {
		return f, nil
	}
	data, err := limit.ReadFile(r.backup(e.Before.Digest), maxFile)
	if err != nil {
		return f, fmt.Errorf("%w: the backup of %s: %w", ErrManifest, e.Path, err)
	}
	if digest.FromBytes(data) != e.Before.Digest {
		return f, fmt.Errorf("%w: the backup of %s is damaged", ErrManifest, e.Path)
	}
	f.Data, f.Mode = data, e.Before.Mode
	return f, nil
}

func (e *entry) wrote(d digest.Digest) {
	if !slices.Contains(e.Wrote, d) {
		e.Wrote = append(e.Wrote, d)
	}
}

// addFolders notes the folders that are not there yet on the way to dir.
func (m *manifest) addFolders(dir string) {
	var missing []string
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil {
			break
		}
		missing = append(missing, dir)
	}
	slices.Reverse(missing)
	for _, dir := range missing {
		if !slices.Contains(m.Folders, dir) {
			m.Folders = append(m.Folders, dir)
		}
	}
}

// forget removes the record and the backups.
func (r records) forget() error {
	return errors.Join(remove(r.path()), os.RemoveAll(filepath.Join(r.state, "backup")))
}
