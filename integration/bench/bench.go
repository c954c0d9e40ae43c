// SPDX-License-Identifier: Apache-2.0

// Package bench measures what a reproducible, signed image costs. It builds
// the demo application in the stock way, in the stock reproducible way and
// with plomb, on daemons of its own, and compares wall time, layers whose
// digest changed, and bytes sent to the registry.
//
// It asserts nothing: figures depend on the machine. docs/performance.md has
// those of one.
package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/plombproject/plomb/integration/stand"
)

// Options say what to measure, and on what.
type Options struct {
	Root string    // the checkout
	Dir  string    // an empty folder for the daemons and the build context
	Bin  string    // the programs; empty: as hack/tools fills it
	Runs int       // how often each figure is taken; the median counts
	Log  io.Writer // progress
	Out  io.Writer // the table
}

// A bench is a stand with what the builds need around it.
type bench struct {
	Options
	stand    *stand.Stand
	registry *registry // counts what is pushed
	mirror   string    // URL of a proxy that keeps Debian's packages
	base     string    // reference of the base image, through registry
	frontend string    // reference of the frontend image, through registry
	context  string    // the build context
	epoch    int64     // SOURCE_DATE_EPOCH; a new commit moves it on
	samples  map[cell][]sample
	last     map[string][]string // layers of the image that a way made last
}

// Build measures all ways of building in all scenarios and writes the table.
func Build(ctx context.Context, opts Options) (err error) {
	b := &bench{Options: opts, epoch: 1_790_000_000,
		samples: map[cell][]sample{}, last: map[string][]string{}}
	end, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := end(); err == nil {
			err = stopErr
		}
	}()
	for _, s := range scenarios {
		if err := b.measure(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return b.print()
}

// start brings the daemons up. The returned function stops them.
func (b *bench) start(ctx context.Context) (func() error, error) {
	s, err := stand.Start(ctx, stand.Options{
		Dir: filepath.Join(b.Dir, "stand"), Root: b.Root, Bin: b.Bin, Log: b.Log,
		Only: []string{stand.Buildkitd, stand.Sigstore, stand.Registry},
	})
	if err != nil {
		return nil, err
	}
	b.stand = s
	var closers []func()
	end := func() error {
		for _, c := range closers {
			c()
		}
		// Even where ctx was cancelled by a signal.
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return s.Remove(stopCtx)
	}
	if closers, err = b.prepare(ctx); err != nil {
		_ = end()
		return nil, err
	}
	return end, nil
}

func (b *bench) prepare(ctx context.Context) (closers []func(), err error) {
	proxy, stop, err := serve(newMirror())
	if err != nil {
		return nil, err
	}
	b.mirror, closers = "http://"+proxy, append(closers, stop)
	b.registry = newRegistry(b.stand.Registry)
	if b.registry.address, stop, err = serve(b.registry); err != nil {
		return closers, err
	}
	closers = append(closers, stop)
	b.say("making the base image")
	base, err := b.output(ctx, filepath.Join(b.Root, "hack", "base"), "debian")
	if err != nil {
		return closers, err
	}
	// Everything goes through the counting proxy, or BuildKit would not know
	// that the registry has the base image's layer already.
	lines := strings.Split(strings.TrimSpace(base), "\n")
	b.base = b.registry.through(lines[len(lines)-1])
	b.frontend = b.registry.through(b.stand.Frontend)
	b.context = filepath.Join(b.Dir, "guestbook")
	return closers, writeContext(filepath.Join(b.Root, "docs", "examples", "guestbook"), b.context, b.frontend)
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.Log, "hack/bench: "+format+"\n", args...)
}

// output runs a program with the stand's environment and returns what it
// printed; what it said on the way is shown only if it failed.
func (b *bench) output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = b.stand.Environ()
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, log.String())
	}
	return string(out), nil
}

// token writes an identity token for the signed builds.
func (b *bench) token(ctx context.Context) (string, error) {
	token, err := b.output(ctx, filepath.Join(b.Root, "hack", "token"))
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.Dir, "token")
	return file, os.WriteFile(file, []byte(strings.TrimSpace(token)), 0o600)
}
