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
	ids := sbom.Identifiers{"npm-b": true}.Items(items)
	require.Equal(t, []string{"npm-a-1", "npm-a-2"}, ids[:2])
	seen := map[string]bool{"npm-b": true}
	for _, id := range ids {
		require.False(t, seen[id], id)
		require.Regexp(t, `^[A-Za-z0-9.-]{1,200}$`, id)
		seen[id] = true
	}
	require.Equal(t, ids, sbom.Identifiers{"npm-b": true}.Items(items))
}
