// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
)

// Uninstall puts everything back as install found it. Receipts stay, and so does
// a file that somebody changed since.
func (n *Node) Uninstall(ctx context.Context, progress func(Event)) error {
	r, err := n.begin(false, progress)
	if err != nil {
		return err
	}
	if r.manifest == nil {
		return ErrNotInstalled
	}
	defer r.release()
	if err := r.lock(); err != nil {
		return err
	}
	// The receipt of the last change, in the log that stays.
	if err := n.receipt(ctx, "uninstall", "plomb is taken off the node: images are not verified from now on", ""); err != nil {
		r.note("mode", "%v", err)
	}
	if err := r.disconnect(ctx); err != nil {
		return err
	}
	// Nothing depends on the agent any more.
	if err := r.act("agent", r.Supervisor.Says("stop"), func() error { return r.Supervisor.Stop(ctx) }); err != nil {
		return err
	}
	if err := r.restore(func(entry) bool { return true }); err != nil {
		return err
	}
	if err := r.Supervisor.Reload(ctx); err != nil {
		return err
	}
	if err := r.records.forget(); err != nil {
		return fmt.Errorf("%w: %w", ErrManifest, err)
	}
	for _, dir := range slices.Backward(r.manifest.Folders) {
		_ = os.Remove(dir) // one that holds something stays
	}
	r.progress(Event{Step: "done", Text: "uninstalled"})
	return nil
}

// disconnect has containerd run without plomb: its files first, a restart, and
// then the verifier's place.
func (r *run) disconnect(ctx context.Context) error {
	d, err := r.Runtime.Daemon(ctx)
	pid := d.PID
	if err != nil {
		pid = 0 // it will read what is there when it starts
	}
	containerds := func(e entry) bool { return e.Runtime }
	if r.differs(containerds) {
		r.manifest.Stale = pid
		if err := r.records.write(r.manifest); err != nil {
			return fmt.Errorf("%w: %w", ErrManifest, err)
		}
	}
	if err := r.restore(containerds); err != nil {
		return err
	}
	_, err = r.restart(ctx)
	return err
}

// differs tells that a file is not as it was before plomb came.
func (r *run) differs(which func(entry) bool) bool {
	return slices.ContainsFunc(r.manifest.Files, func(e entry) bool {
		if !which(e) {
			return false
		}
		now, err := onDisk(e.Path)
		if err != nil || now == nil {
			return err != nil || e.Before != nil
		}
		return e.Before == nil || digest.FromBytes(now.Data) != e.Before.Digest
	})
}

// restore puts files back, the last one that was written first.
func (r *run) restore(which func(entry) bool) error {
	for _, e := range slices.Backward(r.manifest.Files) {
		if !which(e) {
			continue
		}
		if err := r.restoreOne(e); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) restoreOne(e entry) error {
	now, err := onDisk(e.Path)
	if err != nil {
		return err
	}
	want, err := r.records.kept(e)
	if err != nil {
		return err
	}
	want.program = filepath.Base(e.Path) == verifierName
	if want.same(now) {
		return nil
	}
	if now != nil && !e.Free && !slices.Contains(e.Wrote, digest.FromBytes(now.Data)) {
		return r.leave(e, now)
	}
	if err := want.put(); err != nil {
		return err
	}
	text := "remove " + e.Path
	if want.Data != nil {
		text = "restore " + e.Path
	}
	r.progress(Event{Step: "restore", Text: text})
	return nil
}

// leave keeps what somebody else wrote. Only the drop-in cannot stay where it
// is: containerd would go on to require an agent that is gone.
func (r *run) leave(e entry, now *File) error {
	if filepath.Base(e.Path) != dropInName {
		r.note("restore", "%s was changed since it was installed, and stays as it is", e.Path)
		return nil
	}
	saved := *now
	saved.Path = e.Path + ".saved"
	if err := saved.put(); err != nil {
		return err
	}
	if err := remove(e.Path); err != nil {
		return err
	}
	r.note("restore", "%s was changed since it was installed: it is kept as %s", e.Path, saved.Path)
	return nil
}
