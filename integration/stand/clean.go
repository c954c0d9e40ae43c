// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// ErrStillMounted reports mounts below a stand that would not go away. Its
// files stay, because removing them could remove through a mount.
var ErrStillMounted = errors.New("still mounted")

// Stop ends everything that the stand started, unmounts what is mounted below
// its folder and removes what it has outside of it. The files stay.
func (s *Stand) Stop(ctx context.Context) error { return s.locked(ctx, s.stopAll) }

// Remove is Stop and then the removal of the folder. That it is gone already
// is no error.
func (s *Stand) Remove(ctx context.Context) error {
	return s.locked(ctx, func(ctx context.Context) error {
		if err := s.stopAll(ctx); err != nil {
			return err
		}
		return s.layout.remove()
	})
}

func (s *Stand) locked(ctx context.Context, do func(context.Context) error) error {
	unlock, err := s.layout.lock()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	return do(ctx)
}

// Down is hack/down: it stops the stand in dir and removes the folder unless
// keep. That there is no such folder is no error.
func Down(ctx context.Context, dir string, keep bool, log io.Writer) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if log != nil {
			fmt.Fprintf(log, "stand: nothing to stop, %s is not there\n", dir)
		}
		return nil
	}
	s, err := Open(dir, log)
	if err != nil {
		return err
	}
	if keep {
		err = s.Stop(ctx)
	} else {
		err = s.Remove(ctx)
	}
	if err != nil {
		return err
	}
	s.say("stopped; files %s", map[bool]string{true: "kept in " + s.Dir, false: "removed"}[keep])
	return nil
}

// stopAll goes on after an error: what can be cleaned is cleaned.
func (s *Stand) stopAll(ctx context.Context) error {
	var all error
	// First, so that nobody sources the addresses of what is going away.
	if err := os.Remove(s.EnvFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		all = fmt.Errorf("stopping the stand: %w", err)
	}
	all = errors.Join(all, s.stopAgent(ctx))
	for _, name := range stopOrder {
		if slices.Contains(s.names, name) {
			all = errors.Join(all, s.StopDaemon(ctx, name))
		}
	}
	all = errors.Join(all,
		removeContainers(ctx, s.buildRuncRoot()),
		s.removePods(ctx),
		s.layout.unmount(),
		s.layout.removeNetwork(),
	)
	if err := os.RemoveAll(s.layout.outside()); err != nil {
		all = errors.Join(all, fmt.Errorf("stopping the stand: %w", err))
	}
	return all
}

// removePods ends what outlives containerd by design: the shims that were
// given this stand's address, and everything below them.
func (s *Stand) removePods(ctx context.Context) error {
	list, err := processes()
	if err != nil {
		return err
	}
	var doomed []process
	for _, p := range list {
		if isShimOf(p.args, s.ContainerdAddress) {
			doomed = append(doomed, p)
		}
	}
	for i := 0; i < len(doomed); i++ {
		for _, p := range list {
			if p.parent == doomed[i].pid {
				doomed = append(doomed, p)
			}
		}
	}
	all := s.removePodContainers(ctx)
	for _, p := range doomed {
		if err := p.signal(syscall.SIGKILL); err != nil {
			all = errors.Join(all, err)
		}
	}
	for _, p := range doomed {
		if err := p.kill(ctx); err != nil {
			all = errors.Join(all, err)
		}
	}
	return all
}

// isShimOf recognises a shim by its arguments: containerd-shim-... -address SOCKET.
func isShimOf(args []string, address string) bool {
	if len(args) == 0 || !strings.HasPrefix(filepath.Base(args[0]), "containerd-shim") {
		return false
	}
	i := slices.IndexFunc(args, func(a string) bool { return a == "-address" || a == "--address" })
	return i >= 0 && i+1 < len(args) && args[i+1] == address
}

// remove deletes the stand's files, the marker last: a removal that fails
// halfway leaves a folder that hack/down still recognises.
func (l layout) remove() error {
	left, err := l.mounts()
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("%w: %s: nothing removed", ErrStillMounted, strings.Join(left, ", "))
	}
	if _, err := l.load(); err != nil {
		return err
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return fmt.Errorf("removing the stand: %w", err)
	}
	for _, e := range entries {
		if e.Name() == markerName || e.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(l.path(e.Name())); err != nil {
			return fmt.Errorf("removing the stand: %w", err)
		}
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return fmt.Errorf("removing the stand: %w", err)
	}
	return nil
}
