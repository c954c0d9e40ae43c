// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/plombproject/plomb/plugin/admission"
)

// ErrEmpty reports a node without images, of which there is nothing to record.
var ErrEmpty = errors.New("containerd has no images for Kubernetes")

// A Pinning is how a snapshot differs from the one before.
type Pinning struct {
	Snapshot admission.Snapshot
	// Added and Removed are images that came and went.
	Added, Removed []string
}

// Pin records what is on the node, in place of an earlier snapshot: all of that
// keeps starting, whatever policies come to say.
func (n *Node) Pin(ctx context.Context) (*Pinning, error) {
	list, err := n.Inventory.Images(ctx)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrEmpty
	}
	old, err := admission.ReadSnapshot(n.Settings.Snapshot())
	if err != nil {
		old = admission.Snapshot{} // it did not count, and is replaced
	}
	p := &Pinning{Snapshot: admission.Snapshot{TakenAt: n.Now().UTC(), Images: list}}
	for _, img := range list {
		if old.Has(img.Digests...) == "" {
			p.Added = append(p.Added, img.Name)
		}
	}
	for _, img := range old.Images {
		if p.Snapshot.Has(img.Digests...) == "" {
			p.Removed = append(p.Removed, img.Name)
		}
	}
	text := fmt.Sprintf("%d images are pinned, %d of them new, %d no more", len(list), len(p.Added), len(p.Removed))
	if err := n.changed(ctx, "snapshot", text); err != nil {
		return nil, err
	}
	return p, admission.WriteSnapshot(n.Settings.Snapshot(), p.Snapshot)
}

// Unpin takes the snapshot back. It tells whether there was one. An empty one
// stays: what takes one on nodes that have never had any must not take another.
func (n *Node) Unpin(ctx context.Context) (bool, error) {
	if _, err := os.Lstat(n.Settings.Snapshot()); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if old, err := admission.ReadSnapshot(n.Settings.Snapshot()); err == nil && len(old.Images) == 0 {
		return false, nil
	}
	if err := n.changed(ctx, "snapshot", "no image is pinned any more"); err != nil {
		return false, err
	}
	return true, admission.WriteSnapshot(n.Settings.Snapshot(), admission.Snapshot{TakenAt: n.Now().UTC(), Images: []admission.Pinned{}})
}

// changed writes the receipt of a change that lets nothing in by itself: it is
// not made if that cannot be written.
func (n *Node) changed(ctx context.Context, what, text string) error {
	if err := os.MkdirAll(n.Settings.State, 0o700); err != nil {
		return err
	}
	state, _ := admission.ReadMode(n.Settings.Mode())
	return n.receipt(ctx, what, text, state.Mode)
}

// BreakGlass admits every image for some time. The glass breaks even if the
// receipt cannot be written: fault is then why not.
func (n *Node) BreakGlass(ctx context.Context, reason string, length time.Duration) (b admission.BreakGlass, fault, err error) {
	now := n.Now().UTC()
	b = admission.BreakGlass{Reason: reason, Since: now, Until: now.Add(length)}
	if err := b.Check(); err != nil {
		return b, nil, err
	}
	if err := os.MkdirAll(filepath.Dir(n.Settings.BreakGlass()), 0o755); err != nil {
		return b, nil, err
	}
	// With a full disk and a registry that is down, this has to work still.
	fault = n.changed(ctx, "break-glass", "the glass is broken: "+b.String())
	return b, fault, admission.WriteBreakGlass(n.Settings.BreakGlass(), b)
}

// EndBreakGlass ends it before its time. It tells whether it was open.
func (n *Node) EndBreakGlass(ctx context.Context) (open bool, fault, err error) {
	path := n.Settings.BreakGlass()
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return false, nil, nil
	}
	b, _ := admission.ReadBreakGlass(path, n.Now())
	if err := remove(path); err != nil {
		return b != nil, nil, err
	}
	return b != nil, n.changed(ctx, "break-glass", "the broken glass is mended"), nil
}
