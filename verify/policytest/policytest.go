// SPDX-License-Identifier: Apache-2.0

// Package policytest runs policies on evidence that is written down instead of
// signed: what would the verdict be if somebody had said this about that image?
// No cryptography is involved and no request is made. docs/policy-test.md is
// the specification of the files.
//
// A suite is a folder with policies and a folder of cases:
//
//	DIR/policy.yaml                 and every other policy*.yaml, .yml, .json
//	DIR/cases/NAME/input.yaml       the image, and the claims about it
//	DIR/cases/NAME/expected.yaml    the decision
package policytest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
)

var (
	// ErrSuite reports a folder that is no suite, or has no cases.
	ErrSuite = errors.New("no suite of policy tests")

	// ErrCase reports a case whose files cannot be read or make no sense.
	ErrCase = errors.New("broken policy test")
)

const (
	casesFolder  = "cases"
	inputFile    = "input.yaml"
	expectedFile = "expected.yaml"

	// maxFile bounds a case file and each file that it refers to, in bytes.
	maxFile = 16 << 20
)

// A Suite is a folder of policies and cases.
type Suite struct {
	Dir string
	// Cases are the names of its cases, sorted.
	Cases []string
}

// Find walks the folder at root and returns every suite in it, sorted.
func Find(root string) ([]Suite, error) {
	var suites []Suite
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if d.Name() != casesFolder || path == root {
			return nil
		}
		s, err := open(filepath.Dir(path))
		if err != nil {
			return err
		}
		suites = append(suites, s)
		return fs.SkipDir
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSuite, err)
	}
	if len(suites) == 0 {
		return nil, fmt.Errorf("%w below %s: a suite is a folder with policy.yaml and cases/NAME/%s", ErrSuite, root, inputFile)
	}
	return suites, nil
}

func open(dir string) (Suite, error) {
	entries, err := os.ReadDir(filepath.Join(dir, casesFolder))
	if err != nil {
		return Suite{}, err
	}
	s := Suite{Dir: dir}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			s.Cases = append(s.Cases, e.Name())
		}
	}
	if len(s.Cases) == 0 {
		return s, fmt.Errorf("%s has no cases", dir)
	}
	return s, nil
}

// Policies reads the policies of the suite.
func (s Suite) Policies() (*policy.Set, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return nil, err
	}
	var files []policy.File
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		if e.IsDir() || !strings.HasPrefix(name, "policy") || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) {
			continue
		}
		path := filepath.Join(s.Dir, e.Name())
		data, err := limit.ReadFile(path, policy.MaxFile)
		if err != nil {
			return nil, err
		}
		files = append(files, policy.File{Name: path, Data: data})
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: %s has no policy.yaml", ErrSuite, s.Dir)
	}
	return policy.FromFiles(s.Dir, files)
}

// A Result is what became of one case.
type Result struct {
	// Case is DIR/NAME, the folder of the case without "cases".
	Case string `json:"case"`
	OK   bool   `json:"ok"`
	// Failures are what differs from what is expected, a line each.
	Failures []string `json:"failures,omitempty"`
	// Decision is what was decided; nil if the case is broken.
	Decision *decision.Decision `json:"decision,omitempty"`
}

// Run judges the cases of the suite whose Result.Case wanted accepts, in their
// order.
func (s Suite) Run(ctx context.Context, wanted func(name string) bool) []Result {
	var results []Result
	set, err := s.Policies()
	for _, name := range s.Cases {
		r := Result{Case: filepath.ToSlash(filepath.Join(s.Dir, name))}
		if !wanted(r.Case) {
			continue
		}
		if err != nil {
			r.Failures = lines(err)
		} else {
			r.Decision, r.Failures = runCase(ctx, set, filepath.Join(s.Dir, casesFolder, name))
		}
		r.OK = len(r.Failures) == 0
		results = append(results, r)
	}
	return results
}

func runCase(ctx context.Context, set *policy.Set, dir string) (*decision.Decision, []string) {
	in, err := readInput(dir)
	if err != nil {
		return nil, lines(err)
	}
	want, err := readExpected(dir)
	if err != nil {
		return nil, lines(err)
	}
	d := verify.Suppose(ctx, in.supposition(set))
	return d, want.compare(d)
}

// lines are the faults that an error joins.
func lines(err error) []string {
	var out []string
	for line := range strings.Lines(err.Error()) {
		out = append(out, decision.OneLine(line))
	}
	return out
}
