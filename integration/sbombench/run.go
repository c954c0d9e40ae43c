// SPDX-License-Identifier: Apache-2.0

package sbombench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A run is one process from its start to its end.
type run struct {
	wall     time.Duration
	cpu      time.Duration // of the process, in user and kernel mode
	memory   int64         // the most that was resident, in bytes
	document []byte
}

// measure runs a command that writes file.
func measure(ctx context.Context, command []string, file string) (run, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "SYFT_CHECK_FOR_APP_UPDATE=false")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return run{}, fmt.Errorf("%s: %w\n%s", command[0], err, log.String())
	}
	r := run{wall: time.Since(began), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	// In kilobytes, getrusage(2).
	r.memory = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * 1024
	var err error
	r.document, err = os.ReadFile(file)
	return r, err
}

// same reports whether all runs wrote the same bytes.
func same(runs []run) bool {
	for _, r := range runs {
		if !bytes.Equal(r.document, runs[0].document) {
			return false
		}
	}
	return true
}

// warm reads every file, so that neither tool waits for the disk.
func warm(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(io.Discard, f)
		return err
	})
}
