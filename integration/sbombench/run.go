// SPDX-License-Identifier: Apache-2.0

package sbombench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
)

// A run is one process from its start to its end.
type run struct {
	wall   time.Duration
	cpu    time.Duration // of the process, in user and kernel mode
	memory int64         // the most that was resident, in bytes
	size   int64         // of the document
	digest digest.Digest // of the document
	first  []byte        // the document, if keep was asked for
}

// An account is what Account writes.
type account struct {
	Wall, CPU time.Duration
	Memory    int64
}

// Account runs a command and writes what it took, as JSON. It is a process of
// its own: the kernel counts what a parent has in memory when it starts a
// program as the program's (getrusage(2), ru_maxrss), and this one is small.
func Account(ctx context.Context, command []string, out, log io.Writer) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", command[0], err)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return json.NewEncoder(out).Encode(account{
		Wall: time.Since(began), CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
		Memory: usage.Maxrss * 1024, // in kilobytes there
	})
}

// measure runs a command that writes file, and removes that.
func (o Options) measure(ctx context.Context, command []string, file string, keep bool) (run, error) {
	command = append(slices.Clone(o.Account), command...)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "SYFT_CHECK_FOR_APP_UPDATE=false")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return run{}, fmt.Errorf("%w\n%s", err, log.String())
	}
	var a account
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return run{}, err
	}
	document, err := os.ReadFile(file)
	if err != nil {
		return run{}, err
	}
	r := run{wall: a.Wall, cpu: a.CPU, memory: a.Memory, size: int64(len(document)), digest: digest.FromBytes(document)}
	if keep {
		r.first = document
	}
	return r, os.Remove(file)
}

// same says whether all runs wrote the same bytes.
func same(runs []run) string {
	if len(runs) == 1 {
		return "one run"
	}
	for _, r := range runs {
		if r.digest != runs[0].digest {
			return "no"
		}
	}
	return "yes"
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
