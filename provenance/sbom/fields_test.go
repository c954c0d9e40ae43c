// SPDX-License-Identifier: Apache-2.0

package sbom_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/sbom"
)

func TestTextIsOneBoundedLine(t *testing.T) {
	require.Equal(t, "a b c", sbom.Text("a\tb\nc", 100))
	require.Equal(t, "a\uFFFDb\uFFFD", sbom.Text("a\x00b\xff", 100))
	for max := 3; max < 20; max++ {
		got := sbom.Text(strings.Repeat("ü", 30), max)
		require.LessOrEqual(t, len(got), max)
		require.True(t, utf8.ValidString(got))
		require.True(t, strings.HasSuffix(got, "…"))
	}
}

func TestAgent(t *testing.T) {
	for in, want := range map[string][2]string{
		"Organization: Debian":  {"Organization", "Debian"},
		"Person: J (j@example)": {"Person", "J (j@example)"},
		"Person:  ":             {},
		"Person":                {},
		"Tool: x":               {},
		"NOASSERTION":           {},
	} {
		kind, name := sbom.Agent(in)
		require.Equal(t, want, [2]string{kind, name}, in)
	}
}

func TestNamesAndPURLs(t *testing.T) {
	require.Equal(t, "pkg:npm/a@1", sbom.ValidPURL("pkg:npm/a@1"))
	for _, bad := range []string{"", "npm/a", "pkg:npm/a b", "pkg:npm/ä", "pkg:npm/" + strings.Repeat("a", sbom.MaxText)} {
		require.Empty(t, sbom.ValidPURL(bad), bad)
	}
	require.Equal(t, "@s/a", sbom.WholeName("pkg:npm/%40s/a@1", "a"))
	require.Equal(t, "g:a", sbom.WholeName("pkg:maven/g/a@1", "a"))
	require.Equal(t, "github.com/BurntSushi/toml", sbom.WholeName("pkg:golang/github.com/burntsushi/toml@v1", "github.com/BurntSushi/toml"))
	require.Equal(t, "libc6", sbom.WholeName("pkg:deb/debian/libc6@1", "libc6"), "a distribution is no part of the name")
	require.Equal(t, "x", sbom.WholeName("", "x"))
}

func TestWebAddress(t *testing.T) {
	for in, good := range map[string]bool{
		"https://example.com/a": true, "git+https://example.com/a.git": true, "ssh://git@example.com/a": true,
		"javascript:alert(1)": false, "https://": false, "https://example.com/a b": false, "example.com": false, "": false,
	} {
		require.Equal(t, good, sbom.WebAddress(in) != "", in)
	}
}

func TestIdentifiersAreUnique(t *testing.T) {
	items := []sbom.Item{
		{Package: npm("a", "1")}, {Package: npm("a", "2")}, {Package: npm("b", "1")}, {Package: npm("@b", "1")}, {Package: npm("a-1", "")},
		{Package: npm("", "")}, {Package: npm("", "")}, {Package: npm(strings.Repeat("x", 500), "1")}, {Package: npm(strings.Repeat("x", 500), "2")},
	}
	ids := sbom.Identifiers{"npm-b": 0}.Items(items)
	require.Equal(t, []string{"npm-a-1", "npm-a-2"}, ids[:2])
	seen := map[string]bool{"npm-b": true}
	for _, id := range ids {
		require.False(t, seen[id], id)
		require.Regexp(t, `^[A-Za-z0-9.-]{1,200}$`, id)
		seen[id] = true
	}
	require.Equal(t, ids, sbom.Identifiers{"npm-b": 0}.Items(items))

	// As many of the same as a document may have: not one try for each pair.
	same := make([]sbom.Item, 100_000)
	require.Equal(t, "generic-x-1", func() string {
		for i := range same {
			same[i].Package = sbom.Package{Type: "generic", Name: "x", Version: "1"}
		}
		return sbom.Identifiers{}.Items(same)[0]
	}())
}

func TestExpression(t *testing.T) {
	for _, good := range []string{
		"MIT", "GPL-2.0+", "MIT AND (Apache-2.0 OR LicenseRef-x.1)", "GPL-2.0-only WITH Classpath-exception-2.0", "((MIT))",
	} {
		require.Equal(t, good, sbom.Expression(good))
	}
	for _, bad := range []string{
		"", "MIT OR", "OR MIT", "MIT MIT", "(MIT", "MIT)", "()", "MIT WITH", "MIT WITH (x)", "MIT or Apache-2.0", "MIT/Apache", "GPL v2",
		"DocumentRef-x:LicenseRef-y", "NOASSERTION", "NONE", "MIT\n", "a,b", "+", "(MIT) WITH x",
		strings.Repeat("(", 100) + "MIT" + strings.Repeat(")", 100), strings.Repeat("MIT AND ", 1000) + "MIT",
	} {
		require.Empty(t, sbom.Expression(bad), bad)
	}
}

// FuzzExpression: what is one stays one in brackets and beside another.
func FuzzExpression(f *testing.F) {
	for _, seed := range []string{"MIT", "MIT AND (A OR B)", "A WITH b", "((", "A+", "AND"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := sbom.Expression(s)
		if got == "" {
			require.Empty(t, sbom.Expression("MIT OR "+s+" ("))
			return
		}
		require.Equal(t, s, got)
		require.Equal(t, strings.Count(s, "("), strings.Count(s, ")"))
		if len(s) < 100 {
			require.NotEmpty(t, sbom.Expression("("+s+") AND MIT"))
		}
	})
}
