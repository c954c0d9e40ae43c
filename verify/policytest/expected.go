// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plombproject/plomb/verify/decision"
)

// expected is an expected.yaml: what is left out may be anything, but for the
// verdict.
type expected struct {
	Verdict string `yaml:"verdict"`
	// Code is the reason code of the refusal.
	Code string `yaml:"code"`
	// Reason is part of the reason.
	Reason string `yaml:"reason"`
	// Rule is a policy that says Verdict, and Authority the one that satisfies
	// it, or any policy.
	Rule      string `yaml:"rule"`
	Authority string `yaml:"authority"`
	// ChangesAt is a time (RFC 3339), or never.
	ChangesAt string `yaml:"changesAt"`
	// Warnings are parts of warnings. An empty list wants none.
	Warnings *[]string `yaml:"warnings"`
}

func readExpected(dir string) (*expected, error) {
	want := &expected{}
	path := filepath.Join(dir, expectedFile)
	if err := decode(path, want); err != nil {
		return nil, err
	}
	verdicts := []string{string(decision.Allow), string(decision.Deny), string(decision.Undecided)}
	if !slices.Contains(verdicts, want.Verdict) {
		return nil, fmt.Errorf("%w: %s: verdict is %q, want %s", ErrCase, path, want.Verdict, strings.Join(verdicts, " or "))
	}
	if want.ChangesAt != "" && want.ChangesAt != "never" {
		if _, err := time.Parse(time.RFC3339, want.ChangesAt); err != nil {
			return nil, fmt.Errorf("%w: %s: changesAt: %w", ErrCase, path, err)
		}
	}
	return want, nil
}

// compare lists what is different from what is expected.
func (w *expected) compare(d *decision.Decision) []string {
	var failures []string
	differ := func(what, got, want string) {
		failures = append(failures, decision.OneLine(fmt.Sprintf("%s is %s, want %s", what, got, want)))
	}
	if string(d.Verdict) != w.Verdict {
		differ("verdict", fmt.Sprintf("%s [%s] (%s)", d.Verdict, d.Code, d.Reason), w.Verdict)
	}
	if w.Code != "" && d.Code != w.Code {
		differ("code", fmt.Sprintf("%q (%s)", d.Code, d.Reason), fmt.Sprintf("%q", w.Code))
	}
	if !strings.Contains(d.Reason, w.Reason) {
		differ("reason", fmt.Sprintf("%q", d.Reason), fmt.Sprintf("%q in it", w.Reason))
	}
	if !slices.ContainsFunc(d.Rules, w.admits) {
		var got []string
		for _, r := range d.Rules {
			got = append(got, fmt.Sprintf("%s: %s %s", r.Name, r.Verdict, r.Authority))
		}
		if w.Rule+w.Authority != "" {
			differ("rule and authority", "["+strings.Join(got, ", ")+"]", fmt.Sprintf("%q with verdict %s and authority %q", w.Rule, w.Verdict, w.Authority))
		}
	}
	if got := changes(d); w.ChangesAt != "" && got != w.ChangesAt {
		differ("changesAt", got, w.ChangesAt)
	}
	return append(failures, w.warnings(d.Warnings)...)
}

func (w *expected) admits(r decision.Rule) bool {
	return (w.Rule == "" || r.Name == w.Rule) && (w.Authority == "" || r.Authority == w.Authority) && string(r.Verdict) == w.Verdict
}

func changes(d *decision.Decision) string {
	if d.ChangesAt == nil {
		return "never"
	}
	return d.ChangesAt.UTC().Format(time.RFC3339)
}

func (w *expected) warnings(got []string) []string {
	if w.Warnings == nil {
		return nil
	}
	if len(*w.Warnings) != len(got) {
		return []string{fmt.Sprintf("warnings are %d, want %d: %q", len(got), len(*w.Warnings), got)}
	}
	var failures []string
	for _, want := range *w.Warnings {
		if !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, want) }) {
			failures = append(failures, fmt.Sprintf("no warning contains %q: %q", want, got))
		}
	}
	return failures
}
