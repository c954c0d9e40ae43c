// SPDX-License-Identifier: Apache-2.0

package plomb_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/credential"
	"github.com/plombproject/plomb/frontend/seal"
)

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(data)
}

// files lists the repository's files, without git's and what hack/ builds.
func files(t *testing.T) []string {
	t.Helper()
	var list []string
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == ".git" || path == ".build"):
			return filepath.SkipDir
		case d.Type().IsRegular():
			list = append(list, path)
		}
		return nil
	}))
	return list
}

func TestReadmeIsShort(t *testing.T) {
	require.Less(t, strings.Count(read(t, "README.md"), "\n"), 150)
}

var (
	fence  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	inline = regexp.MustCompile("`[^`\n]*`")
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	title  = regexp.MustCompile(`(?m)^#+ +(.+)$`)
)

// anchors are the fragments that GitHub gives the headings of a page.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, m := range title.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, m[1])
		for n, unique := 1, slug; ; n++ {
			if !found[unique] {
				found[unique] = true
				break
			}
			unique = fmt.Sprintf("%s-%d", slug, n)
		}
	}
	return found
}

// checkLink reports where a link of a page leads if it leads nowhere.
func checkLink(page, target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	if u.Scheme != "" {
		return nil // somebody else's page
	}
	if strings.HasPrefix(u.Path, "/") {
		return fmt.Errorf("%q is absolute: it breaks in a checkout", target)
	}
	to := page
	if u.Path != "" {
		to = filepath.Join(filepath.Dir(page), u.Path)
	}
	if _, err := os.Stat(to); err != nil {
		return err
	}
	if u.Fragment == "" {
		return nil
	}
	data, err := os.ReadFile(to)
	if err != nil {
		return err
	}
	if !anchors(string(data))[u.Fragment] {
		return fmt.Errorf("%s has no heading #%s", to, u.Fragment)
	}
	return nil
}

func TestLinksLeadSomewhere(t *testing.T) {
	checked := 0
	for _, page := range files(t) {
		if !strings.HasSuffix(page, ".md") {
			continue
		}
		text := inline.ReplaceAllString(fence.ReplaceAllString(read(t, page), ""), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			checked++
			if err := checkLink(page, m[1]); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	require.NotZero(t, checked)
	require.Error(t, checkLink("README.md", "docs/no-such-page.md"))
	require.Error(t, checkLink("README.md", "docs/frontend.md#no-such-heading"))
}

// optionNames reads the first column of the table `options` in the frontend,
// which is not exported.
func optionNames(t *testing.T) (names []string, values map[string][]string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "frontend/options.go", nil, 0)
	require.NoError(t, err)
	values = map[string][]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "options" || len(spec.Values) != 1 {
			return true
		}
		for _, row := range spec.Values[0].(*ast.CompositeLit).Elts {
			columns := row.(*ast.CompositeLit).Elts
			name := text(t, columns[0])
			names = append(names, name)
			if list, ok := columns[1].(*ast.CompositeLit); ok {
				for _, v := range list.Elts {
					values[name] = append(values[name], text(t, v))
				}
			}
		}
		return false
	})
	require.NotEmpty(t, names, "frontend/options.go has no table of options any more")
	return names, values
}

func text(t *testing.T, e ast.Expr) string {
	t.Helper()
	s, err := strconv.Unquote(e.(*ast.BasicLit).Value)
	require.NoError(t, err)
	return s
}

// row finds the line of a table in a page whose first cell is `name`.
func row(t *testing.T, page, name string) string {
	t.Helper()
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "| `"+name+"` ") {
			return line
		}
	}
	t.Errorf("docs/frontend.md has no row for `%s`", name)
	return ""
}

func TestGuideHasEveryOption(t *testing.T) {
	guide := read(t, "docs/frontend.md")
	names, values := optionNames(t)
	for _, name := range names {
		line := row(t, guide, name)
		for _, v := range values[name] {
			require.Contains(t, line, "`"+v+"`", name)
		}
		if len(values[name]) > 0 {
			require.Contains(t, line, "| `"+values[name][0]+"` |", "%s: the default", name)
		}
	}
}

func TestGuideHasEveryScrubRule(t *testing.T) {
	guide := read(t, "docs/frontend.md")
	for _, rule := range seal.ScrubRules {
		line := row(t, guide, rule.ID)
		for _, path := range rule.Paths {
			require.Contains(t, line, "`"+path+"`", rule.ID)
		}
		require.Contains(t, line, rule.Reason, rule.ID)
	}
}

func TestGuideHasEverySecret(t *testing.T) {
	guide := read(t, "docs/frontend.md")
	for _, id := range credential.Reserved {
		row(t, guide, id)
	}
}

// The frontend's warnings carry a link to their rule.
func TestGuideHasEveryWarning(t *testing.T) {
	guide := read(t, "docs/frontend.md")
	call := regexp.MustCompile(`\bwarn\(ctx, b\.source, "(\w+)"`)
	found := 0
	for _, file := range files(t) {
		if filepath.Dir(file) != "frontend" || !strings.HasSuffix(file, ".go") {
			continue
		}
		for _, m := range call.FindAllStringSubmatch(read(t, file), -1) {
			found++
			row(t, guide, m[1])
		}
	}
	require.NotZero(t, found)
}

func TestEveryPackageIsToldOf(t *testing.T) {
	out, err := goList("./...")
	require.NoError(t, err)
	told := read(t, "doc.go") + read(t, "docs/architecture.md")
	for pkg := range strings.FieldsSeq(out) {
		folder := strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/")
		if folder == "" {
			continue
		}
		word := regexp.MustCompile(`(^|[^\w/])` + regexp.QuoteMeta(folder) + `([^\w/]|$)`)
		require.True(t, word.MatchString(told), "neither doc.go nor docs/architecture.md says what package %s is for", folder)
	}
}

// isSource reports whether a file is one that must carry the licence: Go, and
// every script that development runs.
func isSource(t *testing.T, file string) bool {
	t.Helper()
	if strings.HasSuffix(file, ".go") {
		return true
	}
	if top, _, _ := strings.Cut(file, "/"); top != "hack" && top != ".ci" {
		return false
	}
	return strings.HasPrefix(read(t, file), "#!")
}

func TestEverySourceHasItsLicence(t *testing.T) {
	checked := 0
	for _, file := range files(t) {
		if !isSource(t, file) {
			continue
		}
		checked++
		head := read(t, file)
		head = head[:min(len(head), 200)]
		require.Contains(t, head, "SPDX-License-Identifier: Apache-2.0\n", file)
	}
	require.NotZero(t, checked)
}

// A test that the threat model or a decision leans on must exist.
func TestNamedTestsExist(t *testing.T) {
	declared := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, file := range files(t) {
		if strings.HasSuffix(file, "_test.go") {
			for _, m := range function.FindAllStringSubmatch(read(t, file), -1) {
				declared[m[1]] = true
			}
		}
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
	found := 0
	for _, page := range files(t) {
		if !strings.HasSuffix(page, ".md") {
			continue
		}
		for _, m := range named.FindAllStringSubmatch(read(t, page), -1) {
			found++
			if !declared[m[1]] {
				t.Errorf("%s names %s, and there is no such test", page, m[1])
			}
		}
	}
	require.NotZero(t, found)
}

// The catalogue of attacks on verification is promised to be one: at least sixty
// rows, each with an attack, a defence and tests of what verifies.
func TestEveryAttackOnVerificationHasATest(t *testing.T) {
	page := read(t, "docs/threat-model.md")
	_, section, found := strings.Cut(page, "\n### Verification\n")
	require.True(t, found, "docs/threat-model.md has no section Verification")
	section, _, found = strings.Cut(section, "\n### ")
	require.True(t, found)
	tests := verifyingTests(t)
	named := regexp.MustCompile("`(Test[A-Z]\\w*)`")
	rows := 0
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| attack |") {
			continue
		}
		rows++
		require.Equal(t, 4, strings.Count(line, "|"), "three columns: %s", line)
		names := named.FindAllStringSubmatch(line, -1)
		require.NotEmpty(t, names, "no test: %s", line)
		for _, m := range names {
			require.True(t, tests[m[1]], "%s is not a test of what verifies: %s", m[1], line)
		}
	}
	require.GreaterOrEqual(t, rows, 60)
}

// verifyingTests are those of the flow from evidence to decision, of its edges
// and of what reads bytes for it.
func verifyingTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, file := range files(t) {
		top, _, _ := strings.Cut(file, "/")
		switch top {
		case "verify", "plugin", "cmd", "integration", "internal":
		default:
			continue
		}
		if strings.HasSuffix(file, "_test.go") {
			for _, m := range function.FindAllStringSubmatch(read(t, file), -1) {
				tests[m[1]] = true
			}
		}
	}
	return tests
}
