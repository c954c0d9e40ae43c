// SPDX-License-Identifier: Apache-2.0

package plomb_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// notFuzzed are packages that parse and have no fuzz target, with the reason.
// A new one belongs here only if no stranger writes what it parses.
var notFuzzed = map[string]string{
	"provenance/sign":   "reads answers of the services that the build's own signing config names",
	"verify/verifytest": "makes what tests read",
}

// parses are calls that make something of bytes.
var parses = regexp.MustCompile(`\b((strict)?json\.(Unmarshal|UnmarshalOpen|NewDecoder)|protojson\.Unmarshal|yaml\.(Unmarshal|NewDecoder)|x509\.Parse[A-Z]\w+|pem\.Decode|asn1\.Unmarshal|toml\.\w+)\(`)

// Every package that a verifier reads foreign bytes with has a fuzz target, which
// hack/fuzz runs.
func TestParsersAreFuzzed(t *testing.T) {
	code, fuzzed := map[string]bool{}, map[string]bool{}
	for _, top := range []string{"verify", "provenance", "plugin", "internal"} {
		require.NoError(t, filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			folder := filepath.ToSlash(filepath.Dir(path))
			if !strings.HasSuffix(path, "_test.go") {
				code[folder] = code[folder] || parses.Match(data)
			} else if strings.Contains(string(data), "*testing.F") {
				fuzzed[folder] = fuzzed[folder] || hasTarget(t, path, data)
			}
			return nil
		}))
	}
	for folder, parses := range code {
		reason, excused := notFuzzed[folder]
		switch {
		case parses && !fuzzed[folder] && !excused:
			t.Errorf("%s parses bytes and has no fuzz target: write one, with seeds", folder)
		case excused && (fuzzed[folder] || !parses):
			t.Errorf("%s needs no excuse any more: %s", folder, reason)
		}
	}
}

// hasTarget reports whether a test file has a fuzz target with seeds: without
// one, a fuzzer of a format finds nothing but that it is not the format.
func hasTarget(t *testing.T, path string, data []byte) bool {
	file, err := parser.ParseFile(token.NewFileSet(), path, data, parser.SkipObjectResolution)
	require.NoError(t, err)
	found := false
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
			require.Regexp(t, `\bf\.Add\(|\bseed\(f,`, string(data[f.Pos()-1:f.End()-1]), "%s: %s has no seeds", path, f.Name.Name)
			found = true
		}
	}
	return found
}
