// SPDX-License-Identifier: Apache-2.0

// Package sbombench measures what a bill of materials costs and what is in it:
// plomb's catalogue and document against syft's, as processes of their own, on
// root filesystems with real packages (hack/roots). Both documents are held
// against the lists of the package managers themselves.
//
// It asserts nothing: figures depend on the machine. docs/performance.md has
// those of one.
package sbombench

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/integration/figures"
	"github.com/plombproject/plomb/integration/oracle"
)

// Options say what to measure.
type Options struct {
	Roots []string // folders
	Dir   string   // an empty folder for the documents
	Syft  string   // the program
	Runs  int      // how often each figure is taken; the median counts
	Log   io.Writer
	Out   io.Writer // the tables

	// The commands that run Catalogue, with a level, a root and a file after it,
	// and Account, with another command after it.
	Catalogue, Account []string
}

// A tool makes a document of a root.
type tool struct {
	name    string
	against string // the tool that its figures are divided by
	command func(o Options, root, file string) []string
}

// Names of the tools whose packages are held against the managers' lists.
const (
	plomb = "plomb"
	syft  = "syft"
)

// tools is the table. By default syft hashes the files of each package and
// looks for programs that no package manager knows; without that, it does what
// plomb does.
var tools = []tool{
	{plomb, "syft, packages alone", plombAt(catalog.Packages)},
	{"syft, packages alone", "syft, packages alone", syftWith("none", "-file,-binary")},
	{syft, "syft, packages alone", syftWith("owned-by-package")},
	{"plomb, every file", "syft, every file", plombAt(catalog.Files)},
	{"syft, every file", "syft, every file", syftWith("all")},
}

func plombAt(level catalog.Level) func(o Options, root, file string) []string {
	return func(o Options, root, file string) []string {
		return append(slices.Clone(o.Catalogue), string(level), root, file)
	}
}

// syftWith says whose files are hashed, and which catalogers are left out.
func syftWith(files string, without ...string) func(o Options, root, file string) []string {
	return func(o Options, root, file string) []string {
		args := append([]string{"env", "SYFT_FILE_METADATA_SELECTION=" + files, o.Syft}, oracle.SyftArgs(root, "spdx-json="+file)...)
		for _, w := range without {
			args = append(args, "--select-catalogers", w)
		}
		return args
	}
}

// A result is what came of one root.
type result struct {
	root    string
	runs    map[string][]run            // by tool
	found   map[string][]oracle.Package // by tool
	managed []managed
}

// managed is what a package manager lists.
type managed struct {
	oracle.Manager
	packages []oracle.Package
}

// Run measures all tools on all roots, taking turns, and writes the tables.
func Run(ctx context.Context, opts Options) error {
	var results []result
	for _, root := range opts.Roots {
		r, err := opts.look(ctx, root)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(root), err)
		}
		results = append(results, r)
	}
	return write(opts.Out, results)
}

func (o Options) look(ctx context.Context, root string) (result, error) {
	r := result{root: filepath.Base(root), runs: map[string][]run{}, found: map[string][]oracle.Package{}}
	o.say("reading every file of %s once", r.root)
	if err := warm(root); err != nil {
		return r, err
	}
	for i := range o.Runs {
		for _, t := range tools {
			file := filepath.Join(o.Dir, fmt.Sprintf("%s-%s-%d.json", r.root, t.name, i))
			measured, err := o.measure(ctx, t.command(o, root, file), file, i == 0)
			if err != nil {
				return r, err
			}
			o.say("%s: %s took %.2f s and %s", r.root, t.name, measured.wall.Seconds(), figures.Size(measured.memory))
			r.runs[t.name] = append(r.runs[t.name], measured)
		}
	}
	for _, name := range []string{plomb, syft} {
		list, err := oracle.Document(r.runs[name][0].first)
		if err != nil {
			return r, fmt.Errorf("read the document of %s: %w", name, err)
		}
		r.found[name] = list
	}
	for _, m := range oracle.Managers {
		list, err := m.List(ctx, root)
		if err != nil {
			return r, err
		}
		if len(list) > 0 {
			r.managed = append(r.managed, managed{m, list})
		}
	}
	return r, nil
}

func (o Options) say(format string, args ...any) {
	fmt.Fprintf(o.Log, "hack/bench: "+format+"\n", args...)
}
