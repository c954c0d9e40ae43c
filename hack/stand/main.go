// SPDX-License-Identifier: Apache-2.0

// Command stand is what hack/up, hack/down, hack/demo and hack/bench run: the packages of
// integration with a command line. The --help of those describes it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/plombproject/plomb/integration/stand"
)

const usage = `usage: stand up [--root CHECKOUT] [--snapshotter overlayfs|native] DIR
       stand down [--keep] DIR
       stand restart DIR DAEMON
       stand tamper IMAGE NEWTAG
       stand bench --root CHECKOUT [--runs N] DIR
       stand bench-sbom --root CHECKOUT [--runs N] DIR
       stand bench-verify --root CHECKOUT [--runs N] [--turns N] [--benchtime TIME] DIR
       stand bench-node --root CHECKOUT [--runs N] [--images N] [--pulls N] [--parallel N] [--containers N] DIR
       stand catalogue packages|files ROOT FILE
       stand account COMMAND...
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) error{
		"up": up, "down": down, "restart": restart, "tamper": tamperWith,
		"bench": measure, "bench-sbom": measureSBOM, "bench-verify": measureVerify, "bench-node": measureNode, "catalogue": catalogue, "account": account,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(stderr, usage)
		return 2
	}
	if err := commands[args[0]](ctx, args[1:], stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "hack/%s: %v\n", args[0], err)
		return 1
	}
	return 0
}

func up(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts := stand.Options{Log: stderr}
	set := flag.NewFlagSet("up", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&opts.Root, "root", "", "the checkout (default: found from the working directory)")
	set.StringVar(&opts.Bin, "bin", "", "the folder with the programs (default: CHECKOUT/.build/bin)")
	set.StringVar(&opts.Snapshotter, "snapshotter", "overlayfs", "buildkitd's snapshotter: overlayfs or native")
	dir, err := parse(set, args)
	if err != nil {
		return err
	}
	opts.Dir = dir
	began := time.Now()
	s, err := stand.Start(ctx, opts)
	if err != nil {
		return err
	}
	if !s.Reused {
		fmt.Fprintf(stderr, "stand: all of it answers after %.1f s\n", time.Since(began).Seconds())
	}
	fmt.Fprintf(stdout, "To use it:   . %s\nTo stop it:  hack/down %s\n", s.EnvFile(), s.Dir)
	return nil
}

func down(ctx context.Context, args []string, _, stderr io.Writer) error {
	set := flag.NewFlagSet("down", flag.ContinueOnError)
	set.SetOutput(stderr)
	keep := set.Bool("keep", false, "stop, but keep the files")
	dir, err := parse(set, args)
	if err != nil {
		return err
	}
	return stand.Down(ctx, dir, *keep, stderr)
}

// restart is what plomb node install runs on a stand.
func restart(ctx context.Context, args []string, _, _ io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: stand restart DIR DAEMON")
	}
	return stand.Restart(ctx, args[0], args[1])
}

// parse takes flags before and after the one folder.
func parse(set *flag.FlagSet, args []string) (dir string, err error) {
	if err := set.Parse(args); err != nil {
		return "", err
	}
	if set.NArg() == 0 {
		return "", fmt.Errorf("%w: no folder given; see hack/%s --help", stand.ErrOptions, set.Name())
	}
	dir = set.Arg(0)
	if err := set.Parse(set.Args()[1:]); err != nil {
		return "", err
	}
	if set.NArg() > 0 {
		return "", fmt.Errorf("%w: more than one folder: %q and %q", stand.ErrOptions, dir, set.Arg(0))
	}
	return dir, nil
}
