// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/plombproject/plomb/internal/durable"
	"github.com/plombproject/plomb/internal/limit"
)

// ErrFile reports a file of the node that is there and cannot be used.
var ErrFile = errors.New("unusable file")

// readOwn reads a file that opens the gate. It must be a regular file of the
// user that decides, and no link to one: who else could write it would decide.
// forbidden are the permissions that it must not have. What is not there is
// fs.ErrNotExist.
func readOwn(path string, max int64, forbidden fs.FileMode) ([]byte, error) {
	// Neither follow a link nor wait for who writes a pipe.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s: it is no regular file but a symbolic link: put the file itself there", path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := owned(info, forbidden); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	data, err := limit.ReadAll(f, max)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

func owned(info fs.FileInfo, forbidden fs.FileMode) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("it is no regular file but %s", info.Mode().Type())
	case info.Mode().Perm()&forbidden != 0:
		return fmt.Errorf("its mode is %#o: chmod 600 it", info.Mode().Perm())
	case !ok || int(stat.Uid) != os.Geteuid():
		return errors.New("it is not owned by the user that decides: chown it to root")
	}
	return nil
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(path, append(data, '\n'), 0o600)
}
