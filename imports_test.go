// SPDX-License-Identifier: Apache-2.0

package plomb_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/plombproject/plomb"

// A ban is one rule about imports. Patterns are import paths; one that ends in
// /... also means everything below, ... alone everything, and ./ stands for the module.
type ban struct {
	who    string
	except []string // packages of who that the ban is not for
	mayNot []string
	but    []string // packages of mayNot that are allowed
	deep   bool     // nor through other packages
	reason string
}

// bans is the table. A new rule is a new row; a rule that is in the way is
// changed here, with its reason, and not worked around.
var bans = []ban{
	// The hourglass.
	{
		who: "./frontend/...", mayNot: []string{"./verify/...", "./plugin/..."}, deep: true,
		reason: "the builder writes provenance and judges nothing; what it must have verified, cmd/plomb-frontend hands in",
	},
	{
		who: "./verify/...", mayNot: []string{"./frontend/...", "./plugin/...", "./provenance/sign"}, deep: true,
		reason: "a verifier that shares code with the builder repeats its mistakes, and it has no business signing",
	},
	{
		who: "./plugin/...", mayNot: []string{"./frontend/...", "./provenance/sign"}, deep: true,
		reason: "nothing of the builder runs on a node",
	},
	{
		who: "./provenance/...", mayNot: []string{"./frontend/...", "./verify/...", "./plugin/..."}, deep: true,
		reason: "the neck knows neither who writes nor who reads it",
	},
	{
		who: "./provenance", mayNot: []string{"./provenance/..."}, but: []string{"./provenance"}, deep: true,
		reason: "the statement is plain data; predicates and signing build on it",
	},
	{
		who: "./internal/...", mayNot: []string{"./..."}, but: []string{"./internal/..."}, deep: true,
		reason: "mechanisms are leaves: they know nothing of images, signatures or builds",
	},

	// What a node links.
	{
		who: "./cmd/plomb-verifier", mayNot: []string{"github.com/moby/buildkit/..."}, deep: true,
		reason: "the program that decides on a node links no builder: smaller, and less to attack",
	},
	{
		who: "./cmd/plomb", mayNot: []string{"github.com/moby/buildkit/..."}, deep: true,
		reason: "verifying must work, and be auditable, without a builder",
	},
	{
		who: "./plugin/...", mayNot: []string{"github.com/moby/buildkit/..."}, deep: true,
		reason: "see cmd/plomb-verifier",
	},
	{
		who: "./verify/...", mayNot: []string{"github.com/moby/buildkit/..."}, deep: true,
		reason: "see cmd/plomb-verifier",
	},
	{
		who: "./cmd/...", mayNot: []string{"github.com/stretchr/testify/...", "./verify/verifytest", "./integration/...", "./hack/..."}, deep: true,
		reason: "no test harness in a program that is shipped",
	},

	// Who may do what.
	{
		who: "./verify/...", except: []string{"./verify/evidence", "./verify/verifytest", "./verify/trust/tuf/..."},
		mayNot: []string{"net/http", "github.com/containerd/containerd/v2/..."},
		reason: "evidence alone talks to registries, and tuf to mirrors of trusted roots; every other step works on bytes that it was given",
	},
	{
		who: "./provenance", mayNot: []string{"net/http", "os", "os/exec"},
		reason: "plain data does no I/O",
	},
	{
		who: "./provenance/slsa", mayNot: []string{"net/http", "os", "os/exec"},
		reason: "plain data does no I/O",
	},
	{
		who: "./verify/...", mayNot: []string{"os/exec", "github.com/spf13/cobra"},
		reason: "a library starts no programs and reads no command line",
	},
	{
		who: "./frontend/...", mayNot: []string{"os/exec", "github.com/spf13/cobra"},
		reason: "build steps are LLB, never a program that the frontend starts itself",
	},

	// What must come before everything else.
	{
		who: "./plugin/relay/early", mayNot: []string{"..."}, but: []string{"syscall", "unsafe"},
		reason: "Go initialises a package after what it imports: one more import, and the relay waits for it at every pull",
	},
	{
		who: "./...", except: []string{"./cmd/plomb-verifier", "./plugin/relay/early"}, mayNot: []string{"./plugin/relay/early"},
		reason: "it acts by being linked, and only the verifier is to act so",
	},

	// Thin mains.
	{
		who: "./cmd/plomb-verifier", mayNot: []string{"./..."}, but: []string{"./plugin/bindir", "./plugin/relay/early", "./internal/shortlived"},
		reason: "a main passes the process on to one library call, and may say that it ends soon",
	},
	{
		who: "./cmd/...", mayNot: []string{"github.com/sigstore/...", "github.com/containerd/containerd/v2/...", "github.com/moby/buildkit/...", "./verify/internal/..."},
		but:    []string{"github.com/moby/buildkit/frontend/gateway/grpcclient"},
		reason: "a command reads flags, calls the library once, and prints",
	},
	{
		who: "./...", except: []string{"./integration/...", "./hack/..."}, mayNot: []string{"./integration/...", "./hack/...", "./cmd/..."},
		reason: "test stands and mains are nobody's library",
	},

	// Dependencies that must not slip in.
	{
		who: "./...", mayNot: []string{"./hack/sigstore/...", "./hack/daemons/...", "github.com/sigstore/fulcio/...", "github.com/sigstore/cosign/..."}, deep: true,
		reason: "the local Sigstore and the daemons are modules of their own so that their dependencies stay out of ours",
	},
	{
		who: "./...", except: []string{"./verify/policy/cel", "./verify/policy/rego", "./verify/policy/cue"},
		mayNot: []string{"github.com/open-policy-agent/...", "cuelang.org/go/...", "github.com/google/cel-go/..."},
		reason: "a policy language is known to the one package that evaluates it",
	},
	{
		who: "./...", except: []string{"./verify/notation", "./verify/verifytest", "./integration/..."}, mayNot: []string{"github.com/notaryproject/...", "oras.land/..."},
		reason: "the Notary Project's library verifies envelopes for one step; registries are reached as containerd reaches them",
	},
	{
		who: "./...", except: []string{"./verify/trust/tuf/..."}, mayNot: []string{"github.com/theupdateframework/...", "github.com/sigstore/sigstore-go/pkg/tuf"},
		reason: "trusted roots are renewed by command, never inside a verification",
	},
	{
		who: "./...", mayNot: []string{"github.com/docker/docker/...", "k8s.io/client-go/...", "k8s.io/kubernetes/..."}, deep: true,
		reason: "neither Docker's engine nor a cluster is needed to build or to verify",
	},
}

// Steps of one flow that do not know each other: the parent composes them.
var siblings = []struct {
	parent string
	// shared may be imported by the other steps, for the reason given.
	shared map[string]string
	// composers may import the steps, for the reason given.
	composers map[string]string
}{
	{
		parent: "./frontend",
		shared: map[string]string{
			"./frontend/internal/output": "reading what a helper wrote, bounded, is a mechanism of all steps that run one",
		},
	},
	{
		parent: "./plugin",
		shared: map[string]string{
			"./plugin/settings":    "where things are on a node is the same for every program there",
			"./plugin/judge":       "the one call of verify, with what a node has",
			"./plugin/admission":   "mode, snapshot and break-glass hold at every point of enforcement",
			"./plugin/credentials": "the agent and the verifier without it find the same",
			"./plugin/canary":      "the judge believes the key of a self-test that the doctor has made",
			"./plugin/bindir":      "a call is answered, settled and recorded in one way, whoever was asked",
			"./plugin/control":     "the words between the agent and who asks it",
			"./plugin/containerd":  "what is wrong with a configuration is found once, for those who mend and those who prove",
		},
		composers: map[string]string{
			"./plugin/agent": "the daemon: it puts the points of enforcement around one memory of verdicts",
		},
	},
	{
		parent: "./provenance",
		shared: map[string]string{
			"./provenance/sbom": "the model that every document format is written from",
		},
	},
	{
		parent: "./verify",
		shared: map[string]string{
			"./verify/decision":          "the outcome is what those who keep it and those who show it have in common",
			"./verify/claim":             "the words in which the steps that verify speak to the one that judges",
			"./verify/internal/document": "fetching bytes by digest and parsing them once is a mechanism of all steps",
		},
		composers: map[string]string{
			"./verify/inspect":    "the second flow over the same steps: it shows and does not judge",
			"./verify/reproduce":  "the third: it compares with what a builder makes of the same provenance",
			"./verify/documents":  "the fourth: it hands out what was signed, for people to read",
			"./verify/attach":     "the fifth: it publishes an embedded bundle once more",
			"./verify/policytest": "the sixth: a policy judges claims out of files, for those who write policies",
			"./verify/explain":    "the seventh: it tells what would change a decision",
			"./verify/verifytest": "test fixtures, in no program",
		},
	},
}

func siblingBans(packages []string) []ban {
	var out []ban
	for _, s := range siblings {
		for _, step := range packages {
			who := "." + strings.TrimPrefix(step, module)
			if !strings.HasPrefix(who, s.parent+"/") || s.composers[who] != "" {
				continue
			}
			step, _, _ := strings.Cut(strings.TrimPrefix(who, s.parent+"/"), "/")
			b := ban{who: who, mayNot: []string{s.parent + "/..."}, but: []string{s.parent + "/" + step + "/...", s.parent},
				reason: "steps do not know each other; what one has for another goes through " + s.parent}
			for shared := range s.shared {
				b.but = append(b.but, shared)
			}
			out = append(out, b)
		}
	}
	return out
}

// imports maps a package to what it imports itself.
type imports map[string][]string

// load lists the packages of the module, and the imports of everything that
// they are built with.
func load(t *testing.T) (packages []string, graph imports) {
	t.Helper()
	// go test keeps a result until a file changes that the test itself looked
	// at; what go list looks at does not count.
	for _, file := range files(t) {
		if strings.HasSuffix(file, ".go") {
			_, err := os.Stat(file)
			require.NoError(t, err)
		}
	}
	out, err := goList("-deps", "-json=ImportPath,Imports,Module", "./...")
	require.NoError(t, err)
	graph = imports{}
	dec := json.NewDecoder(strings.NewReader(out))
	for {
		var p struct {
			ImportPath string
			Imports    []string
			Module     *struct{ Path string }
		}
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		graph[p.ImportPath] = p.Imports
		if p.Module != nil && p.Module.Path == module {
			packages = append(packages, p.ImportPath)
		}
	}
	slices.Sort(packages)
	return packages, graph
}

func goList(args ...string) (string, error) {
	cmd := exec.Command("go", append([]string{"list", "-mod=readonly"}, args...)...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("go list: %w: %s", err, exit.Stderr)
	}
	return string(out), err
}

// matches reports whether the package is meant by one of the patterns.
func matches(pkg string, patterns []string) bool {
	for _, p := range patterns {
		if p == "..." {
			return true
		}
		if rest, ok := strings.CutPrefix(p, "./"); ok {
			p = module + "/" + rest
		}
		if prefix, ok := strings.CutSuffix(p, "/..."); ok {
			if pkg == prefix || strings.HasPrefix(pkg, prefix+"/") {
				return true
			}
		} else if pkg == p {
			return true
		}
	}
	return false
}

// violations lists the ways from a package that b is about to one it bans.
func (b ban) violations(packages []string, graph imports) []string {
	var found []string
	for _, pkg := range packages {
		if !matches(pkg, []string{b.who}) || matches(pkg, b.except) {
			continue
		}
		seen := map[string]bool{pkg: true}
		for queue := [][]string{{pkg}}; len(queue) > 0; queue = queue[1:] {
			way := queue[0]
			for _, next := range graph[way[len(way)-1]] {
				if seen[next] {
					continue
				}
				seen[next] = true
				to := append(slices.Clone(way), next)
				if matches(next, b.mayNot) && !matches(next, b.but) {
					found = append(found, strings.Join(to, " → "))
				}
				if b.deep {
					queue = append(queue, to)
				}
			}
		}
	}
	return found
}

func TestImports(t *testing.T) {
	packages, graph := load(t)
	require.NotEmpty(t, packages)
	for _, b := range append(bans, siblingBans(packages)...) {
		about := slices.ContainsFunc(packages, func(p string) bool { return matches(p, []string{b.who}) })
		require.True(t, about, "the rule about %s is about no package: was it moved?", b.who)
		for _, v := range b.violations(packages, graph) {
			t.Errorf("%s\n\t%s", v, b.reason)
		}
	}
}

// What siblings names as shared or as a composer must exist, else a rule has
// an exception that nobody needs.
func TestImportExceptionsAreUsed(t *testing.T) {
	packages, _ := load(t)
	for _, s := range siblings {
		for _, m := range []map[string]string{s.shared, s.composers} {
			for pkg := range m {
				require.True(t, slices.ContainsFunc(packages, func(p string) bool { return matches(p, []string{pkg}) }), pkg)
			}
		}
	}
}

func TestImportRulesBite(t *testing.T) {
	packages := []string{module + "/frontend", module + "/frontend/seal", module + "/frontend/attach", module + "/verify"}
	graph := imports{
		module + "/frontend":        {module + "/frontend/seal", "fmt"},
		module + "/frontend/seal":   {"example.com/between"},
		module + "/frontend/attach": {module + "/frontend/seal"},
		"example.com/between":       {module + "/verify"},
	}
	deep := ban{who: "./frontend/...", mayNot: []string{"./verify/..."}, deep: true}
	require.Equal(t, []string{
		module + "/frontend → " + module + "/frontend/seal → example.com/between → " + module + "/verify",
		module + "/frontend/seal → example.com/between → " + module + "/verify",
		module + "/frontend/attach → " + module + "/frontend/seal → example.com/between → " + module + "/verify",
	}, deep.violations(packages, graph))

	deep.except = []string{"./frontend/..."}
	require.Empty(t, deep.violations(packages, graph))

	direct := ban{who: "./frontend", mayNot: []string{"./frontend/..."}, but: []string{"./frontend/attach"}}
	require.Equal(t, []string{module + "/frontend → " + module + "/frontend/seal"}, direct.violations(packages, graph))

	var among []string
	for _, b := range siblingBans(packages) {
		among = append(among, b.violations(packages, graph)...)
	}
	require.Equal(t, []string{module + "/frontend/attach → " + module + "/frontend/seal"}, among)
}

// The whole of a main that only hands over fits on a screen.
func TestMainsAreThin(t *testing.T) {
	const screen = 70
	for _, main := range []string{"cmd/plomb-frontend/main.go", "cmd/plomb-verifier/main.go"} {
		data, err := os.ReadFile(main)
		require.NoError(t, err)
		require.LessOrEqual(t, strings.Count(string(data), "\n"), screen, main)
	}
}

// `go install` refuses a module that replaces others; modules below hack/ may.
func TestModuleReplacesNothing(t *testing.T) {
	data, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		require.NotRegexp(t, `^\s*replace\b`, line)
		require.NotContains(t, line, module+"/hack", "the modules below hack/ are for development only")
	}
}
