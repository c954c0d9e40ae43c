// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/importer"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/decision"
)

type importFlags struct {
	form, name, namespace, address string
}

func importCommand(stdio Stdio) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import [flags] FILE.tar",
		Short: "Verify an OCI archive and load it into containerd, without a registry",
		Long: `import brings images onto a node that reaches no registry. It checks every digest
in the archive, decides about each image by the policy of the node and from
nothing but the archive, writes the receipts, and gives containerd what was
admitted: all images of the archive, or none.

A name in an archive proves nothing: what a policy admits by its name alone is
refused here. The mode, the snapshot and a break-glass of the node count as they
do for a pull. It takes the settings of the node from PLOMB_* and needs root.

Exit status: 0 loaded, 1 denied, 2 undecided or not loaded, 64 wrong usage.`,
		Example: `  docker buildx build --output type=oci,dest=app.tar,name=registry.example/shop/app:v1 .
  plomb import app.tar
  plomb import --name registry.example/shop/app:v1 --output json app.tar`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("give one FILE.tar, not %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], stdio) },
	}
	registerForm(cmd, &f.form)
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "`NAME` of the one image in the archive, over the archive's own")
	flags.StringVar(&f.namespace, "namespace", "k8s.io", "containerd's `NAMESPACE`")
	flags.StringVar(&f.address, "address", "", "containerd's `SOCKET` (CONTAINERD_ADDRESS)")
	return cmd
}

func (f *importFlags) run(cmd *cobra.Command, path string, stdio Stdio) error {
	if err := checkForm(f.form); err != nil {
		return err
	}
	if f.namespace == "" {
		return errors.New("--namespace is empty")
	}
	s, err := settings.Read(stdio.Getenv)
	if err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	if f.address == "" {
		f.address = s.Containerd
	}
	request := importer.Request{
		Path: path, Name: f.name, Settings: s, Recorder: bindir.RecorderOf(s),
		Load: importer.Containerd(f.address, f.namespace),
	}
	request.Recorder.Verifier = "plomb import " + currentVersion()
	if _, err := os.Stat(s.Control()); err == nil {
		request.Agent = control.New(s.Control())
	}
	report, err := importer.Import(cmd.Context(), request)
	if err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	if err := f.print(report, stdio); err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	return imported(report)
}

// imported is the exit status: what was refused, or could not be decided.
func imported(r importer.Report) error {
	status := error(nil)
	for _, img := range r.Images {
		switch {
		case img.Admitted:
		case img.Decision.Verdict == decision.Deny:
			return errExit(exitDeny)
		default:
			status = errExit(exitUndecided)
		}
	}
	return status
}

func (f *importFlags) print(r importer.Report, stdio Stdio) error {
	for _, img := range r.Images {
		for _, fault := range img.Faults {
			note(stdio, "%s", fault)
		}
	}
	if r.Agent != "" {
		note(stdio, "loaded, and containers of it may be refused until the agent has verified it: %s", r.Agent)
	}
	if f.form == "json" {
		return printJSON(stdio.Out, r)
	}
	for _, img := range r.Images {
		if _, err := fmt.Fprintln(stdio.Out, decision.OneLine(img.Line)); err != nil {
			return err
		}
	}
	outcome := "nothing was loaded"
	if r.Loaded {
		outcome = fmt.Sprintf("loaded %d %s into %s", len(r.Images), plural("image", len(r.Images)), f.namespace)
	}
	_, err := fmt.Fprintln(stdio.Out, outcome)
	return err
}
