// SPDX-License-Identifier: Apache-2.0

// Package durable writes files that are whole: after a crash, or a power
// failure, a reader finds what was there before or what was to be there, never
// a part of it.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces the file at path by one with this content and exactly
// this mode. When it returns nil, the file outlives a power failure. Where it
// fails the old file is untouched.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	if err := replace(path, data, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func replace(path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	// The leading dot keeps what a crash leaves behind from being taken for
	// one of the folder's files.
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return syncFolder(dir)
}

// syncFolder makes a rename last: it is a change of the folder, not of the file.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
