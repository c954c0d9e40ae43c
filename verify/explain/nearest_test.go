// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy"
)

const actions = "https://token.actions.githubusercontent.com"

func identity(t *testing.T, issuer, subject, subjectRegExp string) policy.Identity {
	t.Helper()
	id, err := policy.NewIdentity(issuer, "", subject, subjectRegExp)
	require.NoError(t, err)
	return id
}

func TestNearest(t *testing.T) {
	release := identity(t, actions, "https://github.com/shop/app/.github/workflows/release.yml@refs/heads/main", "")
	other := identity(t, "https://accounts.example", "release@shop.example", "")
	tags := identity(t, actions, "", `^https://github\.com/shop/app/\.github/workflows/release\.yml@refs/tags/v[0-9.]+$`)
	for name, c := range map[string]struct {
		ids             []policy.Identity
		issuer, subject string
		want            []Difference
	}{
		"workflow": {[]policy.Identity{other, release}, actions, "https://github.com/shop/app/.github/workflows/test.yml@refs/heads/main",
			[]Difference{{Part: "workflow", Got: ".github/workflows/test.yml", Want: ".github/workflows/release.yml"}}},
		"ref": {[]policy.Identity{release, other}, actions, "https://github.com/shop/app/.github/workflows/release.yml@refs/heads/fix",
			[]Difference{{Part: "ref", Got: "refs/heads/fix", Want: "refs/heads/main"}}},
		"repository": {[]policy.Identity{release}, actions, "https://github.com/shap/app/.github/workflows/release.yml@refs/heads/main",
			[]Difference{{Part: "repository", Got: "https://github.com/shap/app", Want: "https://github.com/shop/app"}}},
		"issuer": {[]policy.Identity{release}, "https://evil.example", "https://github.com/shop/app/.github/workflows/release.yml@refs/heads/main",
			[]Difference{{Part: "issuer", Got: "https://evil.example", Want: actions}}},
		"domain": {[]policy.Identity{release, other}, "https://accounts.example", "release@shop.example.evil.example",
			[]Difference{{Part: "domain", Got: "shop.example.evil.example", Want: "shop.example"}}},
		"expression": {[]policy.Identity{tags}, actions, "https://github.com/shop/app/.github/workflows/release.yml@refs/heads/main",
			[]Difference{{Part: "subject", Got: "https://github.com/shop/app/.github/workflows/release.yml@refs/heads/main", Want: "/" + tags.SubjectRegExp.String() + "/", expression: true,
				Fits: "https://github.com/shop/app/.github/workflows/release.yml@refs/"}}},
		"nothing": {[]policy.Identity{release}, actions, release.Subject, nil},
	} {
		_, got := nearest(c.ids, c.issuer, c.subject)
		require.Equal(t, c.want, got, name)
	}
}

func TestDistance(t *testing.T) {
	require.Equal(t, 0, distance("", ""))
	require.Equal(t, 3, distance("kitten", "sitting"))
	require.Equal(t, 2, distance("äb", "b-"))
	require.Equal(t, 4, distance("", "main"))
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		expr, text string
		want       int
	}{
		{"^abc$", "abx", 2},
		{"^a+b", "aaac", 3},
		{"^(x|ab)c", "abd", 2},
		{"^é", "éa", 2},
		{"(", "x", 0},
		{"^$", "x", 0},
	} {
		require.Equal(t, c.want, fits(c.expr, c.text), c.expr)
	}
}

// FuzzNearest: whoever chose the subject, it is taken apart without harm.
func FuzzNearest(f *testing.F) {
	f.Add("https://github.com/shop/app/.github/workflows/release.yml@refs/heads/main", "^https://github.com/.*$")
	f.Add("https://gitlab.com/shop/app//.gitlab-ci.yml@refs/tags/v1", "a{1,3}|b")
	f.Add("a@b", "\\bx")
	f.Fuzz(func(t *testing.T, subject, expr string) {
		if len(expr) > 100 {
			return
		}
		if n := fits(expr, subject); n < 0 || n > len(subject) {
			t.Fatalf("fits %q %q: %d", expr, subject, n)
		}
		if split(subject) != nil && len(subjects(subject, subject, nil)) != 0 {
			t.Fatalf("%q differs from itself", subject)
		}
		anchors(expr)
	})
}
