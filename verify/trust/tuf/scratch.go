// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/plombproject/plomb/internal/durable"
	"github.com/plombproject/plomb/internal/limit"
)

// maxRoles bounds the metadata files of an instance.
const maxRoles = 64

// A scratch is where go-tuf works on a copy of an instance's metadata: it
// writes without fsync, and a torn file would keep it from ever updating again.
type scratch struct {
	// folder is the instance's, dir the copy.
	folder, dir string
}

// newScratch copies what is in folder; anew, nothing.
func newScratch(folder string, anew bool) (*scratch, error) {
	instance := filepath.Dir(folder)
	left, err := filepath.Glob(filepath.Join(instance, ".update-*"))
	if err != nil {
		return nil, err
	}
	for _, dir := range left { // of an update that was killed; we have the lock
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(instance, ".update-*")
	if err != nil {
		return nil, err
	}
	s := &scratch{folder: folder, dir: dir}
	if !anew {
		if err := s.fill(); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	return s, nil
}

func (s *scratch) fill() error {
	files, err := metadataIn(s.folder)
	if err != nil {
		return fmt.Errorf("%w; begin anew with --root FILE", err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// root is the newest root.json that was verified.
func (s *scratch) root() ([]byte, error) {
	data, err := limit.ReadFile(filepath.Join(s.dir, "root.json"), maxFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; begin anew with --root FILE", ErrNoRoot, err)
	}
	return data, nil
}

// keep makes the scratch's metadata that of the instance. root.json is first:
// without it the others could not be verified.
func (s *scratch) keep() error {
	files, err := metadataIn(s.dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(s.folder, "root.json"), files["root.json"], 0o644); err != nil {
		return err
	}
	for name, data := range files {
		if err := durable.WriteFile(filepath.Join(s.folder, name), data, 0o644); err != nil {
			return err
		}
	}
	old, err := metadataIn(s.folder)
	if err != nil {
		return err
	}
	for name := range old {
		if _, still := files[name]; !still {
			err = errors.Join(err, os.Remove(filepath.Join(s.folder, name)))
		}
	}
	return err
}

func (s *scratch) remove() { _ = os.RemoveAll(s.dir) }

// metadataIn reads the *.json of a folder.
func metadataIn(folder string) (map[string][]byte, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		if len(files) == maxRoles {
			return nil, fmt.Errorf("%s has more than %d metadata files", folder, maxRoles)
		}
		data, err := limit.ReadFile(filepath.Join(folder, e.Name()), maxFile)
		if err != nil {
			return nil, err
		}
		files[e.Name()] = data
	}
	return files, nil
}
