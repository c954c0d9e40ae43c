// SPDX-License-Identifier: Apache-2.0

package cue_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy/cue"
)

func compile(t *testing.T, src string) *cue.Program {
	t.Helper()
	p, err := cue.Compile("p.yaml:7", src)
	require.NoError(t, err)
	return p
}

func TestCheck(t *testing.T) {
	const before = "import \"time\"\nbefore: time.Parse(time.RFC3339, \"2030-01-01T00:00:00Z\")\npredicate: at: <before"
	const counted = "import \"list\"\nauthorityMatches: {key: signatures: list.MinItems(2), if len(authorityMatches.a.attestations) < 2 {n: 1, n: \"few\"}}"
	for _, c := range []struct{ name, src, data, want string }{
		{"agrees", `predicate: Data: "x"`, `{"predicate": {"Data": "x", "more": 1}}`, ""},
		{"another value", `predicate: Data: "x"`, `{"predicate": {"Data": "y"}}`, `conflicting values "y" and "x"`},
		{"another type", `predicate: Data: string`, `{"predicate": {"Data": 1}}`, "conflicting values"},
		{"a value that is not there", `predicate: Data: "x"`, `{"predicate": {}}`, ""},
		{"a demanded value that is not there", `predicate: Data!: "x"`, `{"predicate": {}}`, "required but not present"},
		{"a bound on what is not there", `predicate: Data: >3`, `{"predicate": {}}`, "incomplete value"},
		{"in time", before, `{"predicate": {"at": "2026-01-01T00:00:00Z"}}`, ""},
		{"too late", before, `{"predicate": {"at": "2031-01-01T00:00:00Z"}}`, "out of bound"},
		{"no time", before, `{"predicate": {}}`, "incomplete value"},
		{"counts", counted, `{"authorityMatches": {"key": {"signatures": [1, 2]}, "a": {"attestations": {"x": 1, "y": 2}}}}`, ""},
		{"too few", counted, `{"authorityMatches": {"key": {"signatures": [1]}, "a": {"attestations": {"x": 1, "y": 2}}}}`, "MinItems"},
		{"too few attestations", counted, `{"authorityMatches": {"key": {"signatures": [1, 2]}, "a": {"attestations": {"x": 1}}}}`, "few"},
		{"nobody", counted, `{"authorityMatches": {"key": {"signatures": [1, 2]}}}`, "p.yaml:7"},
		{"closed", `close({predicate: {...}})`, `{"predicate": {}, "predicateType": "x"}`, "not allowed"},
		{"every element", `predicate: list: [...{severity: != "HIGH"}]`, `{"predicate": {"list": [{"severity": "LOW"}, {"severity": "HIGH"}]}}`, "HIGH"},
		{"references in data are text", `predicate: {Data: "x", a: string}`, `{"predicate": {"Data": "x", "a": "\(Data)"}}`, "input"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := compile(t, c.src).Check(context.Background(), []byte(c.data))
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// TestPoliciesThatReachOut: what a policy may not do is refused at load, with
// the line in it.
func TestPoliciesThatReachOut(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"starts a program", "import \"tool/exec\"\na: exec.Run & {cmd: \"id\"}", "line 1: package tool/exec cannot be imported"},
		{"asks the network", "import \"tool/http\"\na: http.Get & {url: \"http://x\"}", "tool/http"},
		{"reads a file", "import \"tool/file\"\na: file.Read & {filename: \"/etc/shadow\"}", "tool/file"},
		{"reads the environment", "import \"tool/os\"\na: os.Getenv", "tool/os"},
		{"imports a module", "import \"example.com/a\"\na: a.b", "example.com/a"},
		{"embeds a file", "@extern(embed)\npackage p\na: _ @embed(file=\"/etc/passwd\",type=text)", "attribute"},
		{"injects a tag", "a: string @tag(a)", "line 1: attribute"},
		{"refers to itself for ever", "#A: {x: #A}\na: #A", "structural cycle"},
		{"is not CUE", "a: b:\nc: [", "line 2"},
		{"contradicts itself", "a: 1\na: 2", "conflicting values"},
		{"names what is not there", "a: nothing", "reference \"nothing\" not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := cue.Compile("p.yaml:7", c.src)
			require.ErrorIs(t, err, cue.ErrInvalid)
			require.ErrorContains(t, err, "p.yaml:7")
			require.ErrorContains(t, err, c.want)
		})
	}
}

// exponential takes nⁿ steps over a list of n = 7 elements.
const exponential = `
list: [...int]
all: [for a in list for b in list for c in list for d in list for e in list for f in list for g in list {a + b + c + d + e + f + g}]
`

// TestEvaluationWithoutEnd: the verifier gives up, and what runs on does not
// multiply.
func TestEvaluationWithoutEnd(t *testing.T) {
	p := compile(t, exponential)
	data := []byte(`{"list": [` + strings.TrimSuffix(strings.Repeat("1,", 7), ",") + `]}`)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	for range 3 {
		err := p.Check(ctx, data)
		require.ErrorIs(t, err, cue.ErrEvaluation)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.Less(t, time.Since(start), 2*time.Second)
}

func TestDataThatAreNone(t *testing.T) {
	p := compile(t, `a: 1`)
	for _, data := range []string{"", "{", "a: 1", "[1", "\xff"} {
		require.ErrorIs(t, p.Check(context.Background(), []byte(data)), cue.ErrEvaluation, data)
	}
	require.ErrorIs(t, p.Check(context.Background(), make([]byte, cue.MaxInput+1)), cue.ErrEvaluation)
}

func TestManyAtOnce(t *testing.T) {
	p := compile(t, `a: 1`)
	var wg sync.WaitGroup
	for range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := p.Check(context.Background(), []byte(`{"a": 1}`)); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
}
