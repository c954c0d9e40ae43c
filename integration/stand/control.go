// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
)

// StartDaemon starts one daemon of the stand again, on its old address.
func (s *Stand) StartDaemon(ctx context.Context, name string) error {
	if !slices.Contains(s.names, name) {
		return fmt.Errorf("%w: this stand has no %s", ErrOptions, name)
	}
	if id, ok := running(s.layout.pidFile(name)); ok {
		return fmt.Errorf("%w %s: runs already as process %d", ErrDaemon, name, id.pid)
	}
	return s.start(ctx, s.daemon(name))
}

// StopDaemon ends one daemon of the stand and leaves the others, and pods of
// containerd, as they are. Stopping what does not run is no error.
func (s *Stand) StopDaemon(ctx context.Context, name string) error {
	if id, ok := running(s.layout.pidFile(name)); ok {
		if err := id.stop(ctx, s.daemon(name).grace); err != nil {
			return fmt.Errorf("%w %s: %w", ErrDaemon, name, err)
		}
	}
	return s.forget(name)
}

// KillDaemon ends one daemon without any warning, as a crash would.
func (s *Stand) KillDaemon(ctx context.Context, name string) error {
	if id, ok := running(s.layout.pidFile(name)); ok {
		if err := id.kill(ctx); err != nil {
			return fmt.Errorf("%w %s: %w", ErrDaemon, name, err)
		}
	}
	return s.forget(name)
}

func (s *Stand) forget(name string) error {
	if err := os.Remove(s.layout.pidFile(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w %s: %w", ErrDaemon, name, err)
	}
	return nil
}

// Healthy returns nil while every daemon of the stand runs and answers.
func (s *Stand) Healthy(ctx context.Context) error { return s.healthy(ctx) }

func (s *Stand) anyRuns() bool {
	return slices.ContainsFunc(s.names, func(name string) bool {
		_, ok := running(s.layout.pidFile(name))
		return ok
	})
}

func (s *Stand) healthy(ctx context.Context) error {
	for _, name := range s.names {
		if _, ok := running(s.layout.pidFile(name)); !ok {
			return fmt.Errorf("%w %s: does not run", ErrDaemon, name)
		}
		if err := s.daemon(name).probe(ctx); err != nil {
			return fmt.Errorf("%w %s: %w", ErrDaemon, name, err)
		}
	}
	return nil
}

// LogTail returns at most n last lines of a daemon's log, for a test that
// failed.
func (s *Stand) LogTail(name string, n int) string { return tail(s.layout.logFile(name), 0, n) }

// Daemons are the names of what this stand started.
func (s *Stand) Daemons() []string { return slices.Clone(s.names) }

// PID is the process id of a daemon; false if it does not run.
func (s *Stand) PID(name string) (int, bool) {
	id, ok := running(s.layout.pidFile(name))
	return id.pid, ok
}
