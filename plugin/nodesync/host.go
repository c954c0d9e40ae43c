// SPDX-License-Identifier: Apache-2.0

package nodesync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/internal/durable"
	"github.com/plombproject/plomb/internal/limit"
)

// maxProgram bounds a program, in bytes; plomb has some 40 MB.
const maxProgram = 512 << 20

// A Program is one that is put on the host.
type Program struct {
	// Name is its file's.
	Name string
	// Data is all of it.
	Data []byte
}

// ReadPrograms reads programs of the image, before the host's file system is
// entered.
func ReadPrograms(paths ...string) ([]Program, error) {
	var out []Program
	for _, path := range paths {
		data, err := limit.ReadFile(path, maxProgram)
		if err != nil {
			return nil, fmt.Errorf("read the programs of the image: %w", err)
		}
		out = append(out, Program{Name: filepath.Base(path), Data: data})
	}
	return out, nil
}

// Enter makes the host's file system the one of this process, for good: links,
// renames and sockets then are what they are for the host. root is where the
// container has it mounted; "/" is there already.
func Enter(root string) error {
	if root == "/" {
		return nil
	}
	if err := syscall.Chroot(root); err != nil {
		return fmt.Errorf("%w: chroot %s: %w (it takes CAP_SYS_CHROOT, and the host mounted there)", ErrHost, root, err)
	}
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("%w: %w", ErrHost, err)
	}
	return nil
}

// Place puts programs into a folder of dir that is named for their content, so
// that no program that runs is ever written over, and returns that folder. What
// is there and whole is left alone.
func Place(dir string, programs []Program) (string, error) {
	sum := sha256.New()
	for _, p := range programs {
		fmt.Fprintf(sum, "%s\n%d\n", p.Name, len(p.Data))
		sum.Write(p.Data)
	}
	into := filepath.Join(dir, hex.EncodeToString(sum.Sum(nil))[:folderDigits])
	if err := os.MkdirAll(into, 0o755); err != nil {
		return "", fmt.Errorf("%w: %w", ErrHost, err)
	}
	for _, p := range programs {
		path := filepath.Join(into, p.Name)
		if whole(path, p.Data) {
			continue
		}
		if err := durable.WriteFile(path, p.Data, 0o755); err != nil {
			return "", fmt.Errorf("%w: %w", ErrHost, err)
		}
	}
	return into, nil
}

// folderDigits are enough of a SHA-256 to tell versions apart.
const folderDigits = 16

func whole(path string, data []byte) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o755 || info.Size() != int64(len(data)) {
		return false
	}
	have, want := sha256.New(), sha256.Sum256(data)
	if _, err := io.Copy(have, f); err != nil {
		return false
	}
	return [sha256.Size]byte(have.Sum(nil)) == want
}

// Use points dir/current at a folder that Place made, and forgets all others but
// the one that was current until now: the agent may still run from that.
func Use(dir, folder string) error {
	link := filepath.Join(dir, "current")
	last, err := os.Readlink(link)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrHost, err)
	}
	keep := []string{filepath.Base(folder), filepath.Base(last)}
	if last != filepath.Base(folder) {
		if err := relink(filepath.Base(folder), link); err != nil {
			return fmt.Errorf("%w: %w", ErrHost, err)
		}
	} else {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHost, err)
	}
	for _, e := range entries {
		if !e.IsDir() || len(e.Name()) != folderDigits || slices.Contains(keep, e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("%w: %w", ErrHost, err)
		}
	}
	return nil
}

// relink replaces a link by rename, so that it always names something.
func relink(target, link string) error {
	next := link + ".next"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, next); err != nil {
		return err
	}
	return os.Rename(next, link)
}

// unit is the name that the host's commands run under: systemd refuses a second
// one at the same time.
const unit = "plomb-node-rollout"

// ByHost is the command line that has the host's systemd run a program and wait
// for it. The program is then no child of the container: it has the host's
// processes around it, which the search for containerd needs, and the pod's end
// does not cut an installation in two.
func ByHost(environ []string, words ...string) []string {
	line := []string{
		"systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--service-type=exec",
		"--unit=" + unit, "--description=plomb: rollout by Kubernetes",
	}
	for _, e := range environ {
		if strings.HasPrefix(e, "PLOMB_") || strings.HasPrefix(e, "CONTAINERD_") {
			line = append(line, "--setenv="+e)
		}
	}
	return append(append(line, "--"), words...)
}

// Run runs a command line to its end, with its output on out.
func Run(ctx context.Context, out io.Writer, line []string) error {
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	// Asked politely: systemd-run lets go, and the unit goes on by itself.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
		"SYSTEMD_IGNORE_CHROOT=1", // the host's systemd is meant, from within a chroot
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrHost, strings.Join(line, " "), err)
	}
	return nil
}

// SharePort lets two pods of one node listen on the same port while the later
// one takes over.
func SharePort(_, _ string, c syscall.RawConn) error {
	var err error
	if control := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); control != nil {
		return control
	}
	return err
}
