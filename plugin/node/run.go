// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// An Event is something that was done, or in a dry run would be.
type Event struct {
	// Step is the station of the flow: record, node.yaml, mode, unit, agent,
	// verifier, containerd, restart, done.
	Step string
	// Text says it on one line.
	Text string
	// Diff is what changes in a file, unified; empty unless it is a dry run.
	Diff string
	// Note tells that nothing was done, and that an administrator should know.
	Note bool
}

// A run is one install, uninstall or change of mode.
type run struct {
	*Node
	dry      bool
	progress func(Event)
	records  records
	manifest *manifest
	// before are containerd's files as they were before this run, for when
	// containerd does not come back.
	before []File
	// locked is the folder of the record while this run alone changes the node.
	locked *os.File
}

// lock refuses to change a node that another process is changing, and reads the
// record again, which that one may have written meanwhile. The folder itself is
// locked, so that nothing is left behind.
func (r *run) lock() error {
	dir, err := os.Open(r.Settings.State)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("%w: another plomb node is changing this node: wait for it", ErrBusy), dir.Close())
	}
	r.locked = dir
	now, err := r.records.read()
	if err == nil && now != nil {
		r.manifest = now
	}
	return err
}

// release ends the lock, as the end of the process does.
func (r *run) release() {
	if r.locked != nil {
		_ = r.locked.Close()
	}
}

func (n *Node) begin(dry bool, progress func(Event)) (*run, error) {
	if progress == nil {
		progress = func(Event) {}
	}
	r := &run{Node: n, dry: dry, progress: progress, records: records{n.Settings.State}}
	var err error
	r.manifest, err = r.records.read()
	return r, err
}

// change begins to change the node: from here on the record is on disk.
func (r *run) change() error {
	fresh := &manifest{Schema: manifestSchema, Folders: []string{}, Files: []entry{}}
	fresh.addFolders(r.Settings.State)
	if !r.dry {
		if err := os.MkdirAll(r.Settings.State, 0o700); err != nil {
			return fmt.Errorf("%w: %w", ErrManifest, err)
		}
		if err := r.lock(); err != nil {
			return err
		}
	}
	first := r.manifest == nil
	if first {
		r.manifest = fresh
	}
	r.manifest.Version, r.manifest.At, r.manifest.Complete = r.Version, r.Now().UTC(), false
	if r.dry {
		return nil
	}
	if err := r.records.write(r.manifest); err != nil {
		return fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if !first {
		return nil
	}
	r.progress(Event{Step: "record", Text: "record what is done in " + r.records.path()})
	return nil
}

// write makes the disk have these files, and says which it changed.
func (r *run) write(step string, files ...File) (changed bool, err error) {
	for _, f := range files {
		now, err := onDisk(f.Path)
		if err != nil {
			return changed, err
		}
		if f.same(now) {
			continue
		}
		changed = true
		event := Event{Step: step, Text: "write " + f.Path}
		if f.Data == nil {
			event.Text = "remove " + f.Path
		}
		if r.dry {
			event.Diff = difference(now, f)
			r.progress(event)
			continue
		}
		if err := r.records.note(r.manifest, []File{f}); err != nil {
			return changed, err
		}
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return changed, err
		}
		if err := f.put(); err != nil {
			return changed, err
		}
		r.progress(event)
	}
	return changed, nil
}

// act does something else than writing a file.
func (r *run) act(step string, commands []string, do func() error) error {
	if !r.dry {
		if err := do(); err != nil {
			return err
		}
	}
	for _, text := range commands {
		r.progress(Event{Step: step, Text: text})
	}
	return nil
}

func (r *run) note(step, format string, args ...any) {
	r.progress(Event{Step: step, Text: fmt.Sprintf(format, args...), Note: true})
}

// configure writes files of containerd's, which it reads when it starts.
func (r *run) configure(p *place, files []File) error {
	for _, f := range files {
		f.runtime = true
		now, err := onDisk(f.Path)
		if err != nil {
			return err
		}
		if f.same(now) {
			continue
		}
		if now == nil {
			now = &File{Path: f.Path}
		}
		r.before = append(r.before, *now)
		// Noted before the file: whoever is killed between the two must not
		// believe, the next time, that the containerd which runs has read it.
		r.manifest.Stale = p.daemon.PID
		if _, err := r.write("containerd", f); err != nil {
			return err
		}
	}
	return nil
}

// restart has containerd read its configuration, if the one that runs has an
// older one, and waits until it answers. It returns when it began to, or the
// zero time if there was no need.
func (r *run) restart(ctx context.Context) (began time.Time, err error) {
	if r.manifest.Stale == 0 {
		return began, nil
	}
	d, err := r.Runtime.Daemon(ctx)
	if err == nil && d.PID != r.manifest.Stale && r.Runtime.Answers(ctx) == nil {
		return began, r.fresh() // somebody else did it
	}
	began = r.Now()
	err = r.act("restart", r.Supervisor.Says("restart"), func() error {
		if err := r.Supervisor.RestartContainerd(ctx); err != nil {
			return err
		}
		return r.await(ctx, func(ctx context.Context) error {
			d, err := r.Runtime.Daemon(ctx)
			if err != nil {
				return err
			}
			if d.PID == r.manifest.Stale {
				return fmt.Errorf("%w: process %d still runs with the old configuration", ErrRestart, d.PID)
			}
			return r.Runtime.Answers(ctx)
		})
	})
	if err != nil {
		return began, err
	}
	return began, r.fresh()
}

func (r *run) fresh() error {
	r.manifest.Stale = 0
	if r.dry {
		return nil
	}
	return r.records.write(r.manifest)
}

// registered waits until the agent has registered with containerd, after a time
// that may be zero: until then no container is created where it is required.
func (r *run) registered(ctx context.Context, after time.Time) error {
	return r.await(ctx, func(ctx context.Context) error {
		s, err := r.Agent.Status(ctx)
		switch {
		case err != nil:
			return err
		case !s.NRI.Connected:
			return fmt.Errorf("%w: it has not registered with containerd: %s", ErrAgent, s.NRI.Error)
		case s.NRI.Since != nil && s.NRI.Since.Before(after):
			return fmt.Errorf("%w: it has not registered again with containerd", ErrAgent)
		}
		return nil
	})
}

// back puts containerd's files back as they were before this run.
func (r *run) back(ctx context.Context, why error) error {
	r.note("restart", "putting containerd's configuration back: %v", why)
	d, err := r.Runtime.Daemon(ctx)
	if err == nil {
		r.manifest.Stale = d.PID
	} else {
		r.manifest.Stale = -1
	}
	for i := len(r.before) - 1; i >= 0; i-- {
		if _, err := r.write("containerd", r.before[i]); err != nil {
			return err
		}
	}
	r.before = nil
	_, err = r.restart(ctx)
	return err
}
