// SPDX-License-Identifier: Apache-2.0

package slsa_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page of the build type tells of every kind of gap, and of no other.
func TestEveryGapIsDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "completeness.go", nil, 0)
	require.NoError(t, err)
	var kinds []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && strings.HasPrefix(spec.Names[0].Name, "Gap") {
			kind, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			kinds = append(kinds, kind)
		}
		return true
	})
	require.NotEmpty(t, kinds)

	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "build-type.md"))
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "### Completeness")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	var told []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(section, -1) {
		told = append(told, row[1])
	}
	slices.Sort(kinds)
	slices.Sort(told)
	require.Equal(t, kinds, told)
}
