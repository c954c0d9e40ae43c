// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/node"
	"github.com/plombproject/plomb/verify/decision"
)

type nodeSnapshotFlags struct {
	show, clear bool
	form        string
}

func nodeSnapshotCommand(stdio Stdio) *cobra.Command {
	var f nodeSnapshotFlags
	cmd := &cobra.Command{
		Use:   "snapshot [flags]",
		Short: "Have the images that are on this node keep starting",
		Long: `snapshot records the digests of all images that containerd has for Kubernetes:
the pause image, the network plugin, all of kube-system. They are admitted from
then on, here and by digest alone, even where a policy denies them; an image that
arrives later is not. What an image would have been decided is in the receipts all
the same, and an image on a deny list stays denied.

A new snapshot takes the place of the one before.

Exit status: 0 done; 2 it could not be done; 64 wrong usage.`,
		Example: `  plomb node snapshot
  plomb node snapshot --show
  plomb node snapshot --clear`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, stdio) },
	}
	registerForm(cmd, &f.form)
	cmd.Flags().BoolVar(&f.show, "show", false, "show the snapshot, and take none")
	cmd.Flags().BoolVar(&f.clear, "clear", false, "remove the snapshot, and take none")
	cmd.MarkFlagsMutuallyExclusive("show", "clear")
	return cmd
}

func (f *nodeSnapshotFlags) run(cmd *cobra.Command, stdio Stdio) error {
	if err := checkForm(f.form); err != nil {
		return err
	}
	n, err := thisNode(stdio)
	if err != nil {
		return err
	}
	switch {
	case f.show:
		err = f.print(stdio, n)
	case f.clear:
		err = clearSnapshot(cmd, stdio, n)
	default:
		err = f.take(cmd, stdio, n)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	return nil
}

func (f *nodeSnapshotFlags) take(cmd *cobra.Command, stdio Stdio, n *node.Node) error {
	p, err := n.Pin(cmd.Context())
	if err != nil {
		return err
	}
	if f.form == "json" {
		return printJSON(stdio.Out, p.Snapshot)
	}
	for _, name := range p.Added {
		fmt.Fprintf(stdio.Out, "+ %s\n", decision.OneLine(name))
	}
	for _, name := range p.Removed {
		fmt.Fprintf(stdio.Out, "- %s\n", decision.OneLine(name))
	}
	_, err = fmt.Fprintf(stdio.Out, "%d %s keep starting on this node\n", len(p.Snapshot.Images), plural("image", len(p.Snapshot.Images)))
	return err
}

func (f *nodeSnapshotFlags) print(stdio Stdio, n *node.Node) error {
	s, err := admission.ReadSnapshot(n.Settings.Snapshot())
	if err != nil {
		return err
	}
	if f.form == "json" {
		if s.Images == nil {
			s.Images = []admission.Pinned{}
		}
		return printJSON(stdio.Out, s)
	}
	if len(s.Images) == 0 {
		_, err := fmt.Fprintln(stdio.Out, "there is no snapshot")
		return err
	}
	p := newPage(stdio)
	p.line(0, "taken at", "%s", stamp(s.TakenAt))
	for _, img := range s.Images {
		p.line(0, "image", "%s", img.Name)
		for _, d := range img.Digests {
			p.line(1, "digest", "%s", d)
		}
	}
	return p.err
}

func clearSnapshot(cmd *cobra.Command, stdio Stdio, n *node.Node) error {
	had, err := n.Unpin(cmd.Context())
	if err != nil {
		return err
	}
	text := "the snapshot is removed: its images need a verdict that admits them from now on"
	if !had {
		text = "there is no snapshot"
	}
	_, err = fmt.Fprintln(stdio.Out, text)
	return err
}
