// SPDX-License-Identifier: Apache-2.0

package verifybench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// A benchmark is one of package verify's own.
type benchmark struct {
	what    string // as the table says
	name    string // PACKAGE BENCHMARK, with the package below the checkout
	against string // the name of the one whose time it is divided by, if any
}

// benchmarks is the table.
var benchmarks = []benchmark{
	{"a bundle with Rekor v2 and a timestamp", "verify/trust BenchmarkVerify/rekor-v2/plomb", "verify/trust BenchmarkVerify/rekor-v2/sigstore-go"},
	{"the same, bare sigstore-go", "verify/trust BenchmarkVerify/rekor-v2/sigstore-go", ""},
	{"a bundle with Rekor v1", "verify/trust BenchmarkVerify/rekor-v1/plomb", "verify/trust BenchmarkVerify/rekor-v1/sigstore-go"},
	{"the same, bare sigstore-go", "verify/trust BenchmarkVerify/rekor-v1/sigstore-go", ""},
	{"an image with a bundle in its index: the whole decision", "verify BenchmarkVerify/plomb", "verify BenchmarkVerify/sigstore-go"},
	{"the bundle of it, its subject and signer, bare sigstore-go", "verify BenchmarkVerify/sigstore-go", ""},
	{"the whole decision, policy and trusted root read anew", "verify BenchmarkVerify/from-files", "verify BenchmarkVerify/sigstore-go"},
	{"a CEL rule of six comparisons", "verify/policy/cel BenchmarkRule", ""},
	{"a CEL rule, with the values that it looks at put together", "verify/policy BenchmarkJudge", ""},
	{"ten CEL rules, likewise", "verify/policy BenchmarkTenRules", ""},
	{"loading a policy of one signer", "verify/policy BenchmarkLoad/signer", ""},
	{"loading one with two CEL rules", "verify/policy BenchmarkLoad/CEL", ""},
	{"loading one with CUE", "verify/policy BenchmarkLoad/CUE", ""},
	{"loading all of docs/policies", "verify/policy BenchmarkLoad/library", ""},
}

// A suite is the benchmarks of one package that are wanted.
type suite struct{ folder, pattern string }

var suites = []suite{
	{"verify/trust", "^BenchmarkVerify$"},
	{"verify", "^BenchmarkVerify$"},
	{"verify/policy", "^Benchmark(Judge|TenRules|Load)$"},
	{"verify/policy/cel", "^BenchmarkRule$"},
}

// inProcess compiles the benchmarks once and runs them as often as asked for.
func (b *bench) inProcess(ctx context.Context) (map[string][]time.Duration, error) {
	found := map[string][]time.Duration{}
	programs := make([]string, len(suites))
	for i, s := range suites {
		b.say("compiling the benchmarks of %s", s.folder)
		programs[i] = filepath.Join(b.Dir, fmt.Sprintf("bench-%d.test", i))
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", programs[i], "./"+s.folder)
		cmd.Dir, cmd.Env = b.Root, append(os.Environ(), "GOTOOLCHAIN=local", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("compile the benchmarks of %s: %w\n%s", s.folder, err, out)
		}
	}
	for run := range b.Runs {
		b.say("benchmarks, run %d of %d", run+1, b.Runs)
		for i, s := range suites {
			cmd := exec.CommandContext(ctx, programs[i], "-test.run", "^$", "-test.bench", s.pattern, "-test.benchtime", b.BenchTime)
			cmd.Dir = filepath.Join(b.Root, s.folder)
			out, err := cmd.CombinedOutput()
			if err != nil {
				return nil, fmt.Errorf("benchmarks of %s: %w\n%s", s.folder, err, out)
			}
			for name, took := range readBenchmarks(string(out)) {
				found[s.folder+" "+name] = append(found[s.folder+" "+name], took)
			}
		}
	}
	return found, checkBenchmarks(found, b.Runs)
}

// checkBenchmarks demands a time for each row of the table and each run.
func checkBenchmarks(found map[string][]time.Duration, runs int) error {
	var missing []error
	for _, row := range benchmarks {
		if n := len(found[row.name]); n != runs {
			missing = append(missing, fmt.Errorf("%s: %d times, want %d: was it renamed?", row.name, n, runs))
		}
	}
	return errors.Join(missing...)
}

// line is one of `go test -bench`; the number behind the name is GOMAXPROCS.
var line = regexp.MustCompile(`(?m)^(Benchmark\S+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op`)

func readBenchmarks(out string) map[string]time.Duration {
	found := map[string]time.Duration{}
	for _, match := range line.FindAllStringSubmatch(out, -1) {
		ns, err := strconv.ParseFloat(match[2], 64)
		if err != nil {
			continue // the pattern admits 1.2.3
		}
		found[match[1]] = time.Duration(ns)
	}
	return found
}
