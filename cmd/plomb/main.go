// SPDX-License-Identifier: Apache-2.0

// Command plomb is the operators' tool: it verifies and inspects signed images
// and bundles, works on policies and trusted roots, and shows what images say of
// themselves. One file per command, each of which reads flags, calls the library
// once and prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	_ "github.com/plombproject/plomb/internal/shortlived" // one command, one process
)

// Exit statuses, as docs/verify.md promises them.
const (
	exitAllow     = 0
	exitDeny      = 1
	exitUndecided = 2
	exitUsage     = 64 // EX_USAGE of sysexits.h
)

// Stdio is everything a command touches of its surroundings.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
}

// errExit ends a command with a status; what there was to say has been said.
type errExit int

func (e errExit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// errFailed ends a command that could not do its work.
var errFailed = errors.New("failed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second interrupt ends the program, whatever the first one waits for.
	context.AfterFunc(ctx, stop)
	os.Exit(Main(ctx, os.Args[1:], Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}))
}

// Main runs one command and returns its exit status.
func Main(ctx context.Context, args []string, stdio Stdio) int {
	cmd := newCommand(stdio)
	cmd.SetArgs(args)
	used, err := cmd.ExecuteContextC(ctx)
	var status errExit
	switch {
	case err == nil:
		return exitAllow
	case errors.As(err, &status):
		return int(status)
	case errors.Is(err, errFailed):
		fmt.Fprintf(stdio.Err, "plomb: %v%s\n", err, rootHint(err, os.Geteuid()))
		return exitUndecided
	}
	// Everything else is cobra's: an unknown command, flag or argument.
	fmt.Fprintf(stdio.Err, "plomb: %v\nTry '%s --help'.\n", err, used.CommandPath())
	return exitUsage
}

// rootHint is what to do about a file that only somebody else may use: what is on
// a node is root's.
func rootHint(err error, uid int) string {
	if uid == 0 || !errors.Is(err, fs.ErrPermission) {
		return ""
	}
	return "; try it as root"
}

func newCommand(stdio Stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plomb",
		Short: "Verify and inspect signed container images",
		Long: `plomb verifies and inspects container images, those that plomb sealed while they
were built and those that cosign, GitHub or notation signed: who built and signed
them, from what, what is in them, and whether they are still what was built.

Exit status:
  0   done; verify: the image is allowed
  1   something speaks against it: denied, not the signed one, different
  2   it could not be done; verify: undecided, nothing is known either way
  64  wrong usage

Environment (each PLOMB_* is the default of a flag):
  PLOMB_POLICY           policy file or folder
  PLOMB_NO_MATCH_POLICY  what becomes of an image that no policy is about
  PLOMB_TRUSTED_ROOT     trusted_root.json
  PLOMB_TRUST            folder of trust instances, see plomb trust
  PLOMB_NOTATION         trust stores and revocation lists for Notary Project signatures
  PLOMB_HOSTS            registry hosts, in containerd's certs.d form
  DOCKER_CONFIG          folder with config.json, which has the registries' passwords
  NO_COLOR               if not empty: no colours, also on a terminal`,
		Example: `  plomb verify --key release.pub registry.example/shop/app:v1
  plomb inspect registry.example/shop/app:v1
  plomb policy explain --policy ./policy registry.example/shop/app:v1`,
		Args:          aCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.SetIn(stdio.In)
	cmd.SetOut(stdio.Out)
	cmd.SetErr(stdio.Err)
	cmd.AddCommand(
		verifyCommand(stdio), verifyBundleCommand(stdio), inspectCommand(stdio),
		policyCommand(stdio), trustCommand(stdio),
		sbomCommand(stdio), provenanceCommand(stdio), attachCommand(stdio),
		auditCommand(stdio), importCommand(stdio),
		reproduceCommand(stdio), agentCommand(stdio), nodeCommand(stdio), versionCommand(stdio),
	)
	return cmd
}

// aCommand refuses what is no command of a group, and names the one that was
// probably meant.
func aCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if meant := slices.Compact(cmd.SuggestionsFor(args[0])); len(meant) > 0 {
		err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(meant, " or "))
	}
	return err
}
