// SPDX-License-Identifier: Apache-2.0

package rego_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy/rego"
)

var now = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func compile(t *testing.T, version rego.Version, src string) *rego.Program {
	t.Helper()
	p, err := rego.Compile("p.yaml:7", src, version)
	require.NoError(t, err)
	return p
}

func TestCheck(t *testing.T) {
	const v0 = "package sigstore\n"
	const v1 = "package plomb\n"
	for _, c := range []struct {
		name    string
		version rego.Version
		src     string
		// want is empty where the module approves.
		want string
	}{
		{"true", rego.V0, v0 + `default isCompliant = false
			isCompliant { input.predicate.Data == "x"; input.n == 1 }`, ""},
		{"false", rego.V0, v0 + `default isCompliant = false
			isCompliant { input.predicate.Data == "y" }`, "isCompliant is not true"},
		{"undefined", rego.V0, v0 + `isCompliant { input.nothing }`, "isCompliant is not true"},
		{"object", rego.V0, v0 + `isCompliant[r] { r := {"result": input.n == 1, "error": "", "warning": ""} }`, ""},
		{"object that refuses", rego.V0, v0 + `isCompliant[r] { r := {"result": false, "error": "too old", "warning": ""} }`, "too old"},
		{"object that warns", rego.V0, v0 + `isCompliant[r] { r := {"result": true, "error": "", "warning": "mind"} }`, "warning: mind"},
		{"object without result", rego.V0, v0 + `isCompliant[r] { r := {"error": ""} }`, "result true"},
		{"objects that are none", rego.V0, v0 + `isCompliant[r] { r := true }`, "objects with a result"},
		{"no objects", rego.V0, v0 + `isCompliant[r] { r := {"result": true}; input.nothing }`, "result true"},
		{"the text true", rego.V0, v0 + `isCompliant = "true"`, "isCompliant is not true"},
		{"clock of the decision", rego.V0, v0 + `isCompliant { time.now_ns() == 1777593600000000000 }`, ""},
		{"numbers keep their digits", rego.V0, v0 + `isCompliant { input.big == 12345678901234567890 }`, ""},

		{"allow", rego.V1, v1 + `allow if input.n == 1`, ""},
		{"allow and an empty deny", rego.V1, v1 + "allow := true\ndeny contains \"x\" if input.n == 2", ""},
		{"no allow", rego.V1, v1 + `allow if input.n == 2`, "allow is not true"},
		{"deny wins", rego.V1, v1 + "allow := true\ndeny contains msg if { input.n == 1; msg := \"one\" }\ndeny contains \"also\"", "also; one"},
		{"deny that is no set", rego.V1, v1 + "allow := true\ndeny := \"no\"", "deny must be a set"},
		{"deny that is null", rego.V1, v1 + "allow := true\ndeny := null", "deny must be a set"},
		{"deny that is false", rego.V1, v1 + "allow := true\ndeny := false", "deny must be a set"},
		{"allow that is text", rego.V1, v1 + `allow := "true"`, "allow is not true"},
		{"contradiction", rego.V1, v1 + "allow := true if input.n == 1\nallow := false if input.n == 1", "could not be evaluated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := compile(t, c.version, c.src).Check(context.Background(), []byte(`{"predicate": {"Data": "x"}, "n": 1, "big": 12345678901234567890}`), now)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// TestModulesThatAreRefused: at load, with the line in the module. What reaches
// out is not known to the compiler.
func TestModulesThatAreRefused(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"asks the network", `isCompliant { http.send({"method": "get", "url": "http://x"}).status_code == 200 }`, "line 2, column 15: undefined function http.send"},
		{"asks the name service", `isCompliant { net.lookup_ip_addr("x") }`, "undefined function net.lookup_ip_addr"},
		{"reads the environment", `isCompliant { opa.runtime().env.HOME }`, "undefined function opa.runtime"},
		{"tosses a coin", `isCompliant { rand.intn("x", 2) == 1 }`, "undefined function rand.intn"},
		{"fetches a schema", `isCompliant { json.match_schema({}, {"$ref": "http://x"}) }`, "undefined function json.match_schema"},
		{"signs", `isCompliant { providers.aws.sign_req({}, {}, 1) }`, "undefined function providers.aws.sign_req"},
		{"calls itself", "f(x) = y { y := f(x) }\nisCompliant { f(1) }", "recursive"},
		{"refers to itself", `isCompliant { isCompliant }`, "recursive"},
		{"is no Rego", `isCompliant {`, "line 2"},
		{"is of a later version", `isCompliant if input.n == 1`, "p.yaml:7"},
		{"has another rule", `allow { true }`, "no rule isCompliant"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := rego.Compile("p.yaml:7", "package sigstore\n"+c.body, rego.V0)
			require.ErrorIs(t, err, rego.ErrInvalid)
			require.ErrorContains(t, err, "p.yaml:7")
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := rego.Compile("p.yaml:7", "package signature\nallow { true }", rego.V0)
	require.ErrorContains(t, err, "package signature, want sigstore")
	_, err = rego.Compile("p.yaml:7", "package sigstore\nallow := true", rego.V1)
	require.ErrorContains(t, err, "package sigstore, want plomb")
	_, err = rego.Compile("p.yaml:7", "", rego.V1)
	require.ErrorIs(t, err, rego.ErrInvalid)
	_, err = rego.Compile("p.yaml:7", "package plomb", rego.Version(7))
	require.ErrorIs(t, err, rego.ErrInvalid)
}

// TestEvaluationWithoutEnd: comprehensions over much data, and functions that
// make much of little.
func TestEvaluationWithoutEnd(t *testing.T) {
	for name, body := range map[string]string{
		"comprehension": `n := [1 | a := input.list[_]; b := input.list[_]; c := input.list[_]; d := input.list[_]; a + b + c + d > 0]
			isCompliant { count(n) > 0 }`,
		"range": `isCompliant { count(numbers.range(1, 1000000000)) > 0 }`,
		"walk":  `isCompliant { count([1 | walk(input, a); walk(input, b); walk(input, c)]) > 0 }`,
	} {
		t.Run(name, func(t *testing.T) {
			p := compile(t, rego.V0, "package sigstore\n"+body)
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			start := time.Now()
			input := fmt.Sprintf(`{"list": [%s1]}`, strings.Repeat("1,", 500))
			err := p.Check(ctx, []byte(input), now)
			require.ErrorIs(t, err, rego.ErrEvaluation)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Less(t, time.Since(start), 2*time.Second)
		})
	}
}

func TestInputThatIsNone(t *testing.T) {
	p := compile(t, rego.V0, "package sigstore\nisCompliant { true }")
	require.ErrorIs(t, p.Check(context.Background(), []byte("{"), now), rego.ErrEvaluation)
	require.ErrorIs(t, p.Check(context.Background(), nil, now), rego.ErrEvaluation)
	require.ErrorContains(t, p.Check(context.Background(), []byte("{} {}"), now), "more than one value")
	require.ErrorContains(t, p.Check(context.Background(), make([]byte, rego.MaxInput+1), now), "at most")
}
