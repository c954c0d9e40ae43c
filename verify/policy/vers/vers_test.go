// SPDX-License-Identifier: Apache-2.0

package vers_test

import (
	"cmp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy/vers"
)

// Each line is in order, oldest first; versions joined by " = " are one. They
// follow the examples of the specifications that the schemes name.
var orders = map[string][]string{
	"deb": {
		"0 = 0:0 = 0-0 = 00", "1.0~~ 1.0~~a 1.0~ 1.0 1.0-1 1.0a 1.0+dfsg 1.0.1 1:0.1",
		"1.2.3-1~deb12u1 1.2.3-1 1.2.3-1+b1 1.2.3-1.1 1.2.3-2", "1.0-1ubuntu0.1 1.0-1ubuntu0.10 1.0-2", "1.0 = 0:1.0 = 1.00", "1.9 1.10 1.10a 1.10+",
		"9.0.9~rc1 9.0.9 9.0.10",
	},
	"rpm": {
		"1.0 = 0:1.0 = 1.00 = 1_0", "1.0~rc1 1.0 1.0^20240101 1.0.1", "1.0~rc1^git1 1.0~rc2", "2a 2.0 2.0.1", "5.5p1 5.5p2 5.5p10", "10xyz 10.1xyz",
		"6.0 6.0.rc1", "1.0-1.el9 1.0-1.el9_1 1.0-2.el9 1:0.1-1", "1.0^ 1.0.1", "1.0 1.0^ 1.0^git1 1.0^git1.1",
	},
	"apk": {
		"1.2_alpha 1.2_alpha2 1.2_beta 1.2_pre 1.2_rc1 1.2 1.2_git20240101 1.2_p1 1.2a 1.2b 1.2.1", "1.0-r0 1.0-r1 1.0-r10", "1.05 1.1 1.10", "2.9 2.10 2.10.1 10.0",
		"1.36.1-r2 1.36.1-r15",
	},
	"npm": {
		"1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 2.0.0 2.1.0 2.1.1",
		"1.0.0 = 1.0.0+build = v1.0.0 = 1", "99999999999999999999.0.0 100000000000000000000.0.0",
	},
	"golang": {"v0.0.0-20200101000000-abcdef012345 v0.0.0-20210101000000-abcdef012345 v0.1.0 v2.0.0+incompatible v2.0.1", "1.21.3 1.22.0"},
	"cargo":  {"0.9.9 0.10.0 1.0.0-rc.1 1.0.0"},
	"nuget":  {"1.0.0 = 1.0 = 1.0.0.0", "1.0.0-Alpha 1.0.0-beta 1.0.0 1.0.0.1 1.0.1"},
	"pypi": {
		"1.0.dev456 1.0a1 1.0a2.dev456 1.0a12.dev456 1.0a12 1.0b1.dev456 1.0b2 1.0b2.post345.dev456 1.0b2.post345 1.0rc1.dev456 1.0rc1 1.0 1.0+abc.5 1.0+abc.7 1.0+5 1.0.post456.dev34 1.0.post456 1.1.dev1 1!0.1",
		"1.0 = 1.0.0 = v1.0 = 1", "1.0a1 = 1.0alpha1 = 1.0-ALPHA.1", "1.0rc1 = 1.0c1 = 1.0.pre1", "1.0.post1 = 1.0-1 = 1.0rev1",
	},
	"maven": {
		"1-alpha1 1-beta1 1-milestone1 1-rc1 1-SNAPSHOT 1 1-sp 1-foo2 1-foo10 1-1 1.1", "1 = 1.0 = 1.0.0 = 1-ga = 1.ga = 1-0 = 1.final = 1-RELEASE", "1.foo = 1-foo",
		"1-a1 = 1-alpha-1", "1-rc1 = 1-cr1", "1-sp-1 1-ga-1", "1-ga.1 1-sp.1", "1.0.0-foo.0.0 = 1-foo", "1.0.0-0.0.0 = 1", "2.0-beta9 2.0-rc1 2.0 2.0.1 2.3.2 2.12.4 2.17.0 2.17.1",
		"1.0.0.RC1 1.0.0.RC2 1.0.0", "31.0-android 31.0.1-jre", "1_1 1.1",
	},
	"gem": {"1.0.a 1.0.b 1.0 1.0.1", "1 = 1.0 = 1.0.0", "1.0.0.rc1 1.0.0.rc2 1.0.0", "3.1.9 3.1.10"},
	"hex": {"1.0.0-rc.0 1.0.0"}, "pub": {"1.0.0 1.0.1"}, "swift": {"5.9.0 5.10.0"},
}

func TestOrders(t *testing.T) {
	for _, scheme := range vers.Schemes() {
		require.NotEmpty(t, orders[scheme], scheme)
		for _, line := range orders[scheme] {
			equal := strings.Contains(line, " = ")
			versions := strings.Fields(strings.ReplaceAll(line, " = ", " "))
			for i, a := range versions {
				for j, b := range versions {
					want := cmp.Compare(i, j)
					if equal {
						want = 0
					}
					got, err := vers.Compare(scheme, a, b)
					require.NoError(t, err, "%s %s", a, b)
					require.Equal(t, want, cmp.Compare(got, 0), "%s: %s beside %s", scheme, a, b)
				}
			}
		}
	}
}

func TestRanges(t *testing.T) {
	for _, c := range []struct{ scheme, text, in, out string }{
		{"maven", ">=2.0-beta9|<2.17.1", "2.0-beta9 2.0-rc1 2.0 2.14.1 2.17.0", "1.2.17 2.0-beta8 2.17.1 2.20.0 3"},
		{"maven", ">=2.0-beta9|<2.3.2|>=2.4|<2.12.4|>=2.13.0|<2.17.1", "2.3.1 2.12.3 2.16", "2.3.2 2.12.4 2.17.1"},
		{"deb", "<3.0.11-1~deb12u2", "3.0.11-1~deb12u1 1.1.1n-0", "3.0.11-1~deb12u2 3.0.11-1 1:0.1"},
		{"rpm", "<3.0.7", "3.0.6-18.el9 3.0.6", "3.0.7-18.el9 3.0.7 1:3.0.6"},
		{"npm", ">1.0.0|<=2.0.0", "1.0.1 2.0.0", "1.0.0 2.0.1"},
		{"npm", "=1.0.0|=2.0.0", "1.0.0 2.0.0", "1.5.0"},
		{"npm", "1.0.0", "1.0.0", "1.0.1"},
		{"npm", "!=1.0.0", "0.1.0 2.0.0", "1.0.0"},
		{"npm", "<1.0.0|!=0.5.0|=3.0.0", "0.4.0 3.0.0", "0.5.0 1.0.0 2.0.0"},
		{"npm", "<1.0.0|>=2.0.0", "0.1.0 2.0.0 3.0.0", "1.0.0 1.9.9"},
		{"npm", "<2.0.0|>=1.0.0", "1.0.0 1.9.9", "0.9.0 2.0.0"},
		{"npm", " >= 1.0.0 | < 2.0.0 ", "1.0.0", "2.0.0"},
		{"npm", "*", "1.0.0 nonsense", ""},
		{"npm", "", "1.0.0 nonsense", ""},
		{"deb", "<1%3A2.0", "1:1.0 9", "1:2.0"},
		{"conan", "=1.0|=weird!", "1.0 weird!", "1.1"},
	} {
		r, err := vers.Parse(c.scheme, c.text)
		require.NoError(t, err, c.text)
		for _, v := range strings.Fields(c.in) {
			in, err := r.Contains(v)
			require.NoError(t, err)
			require.True(t, in, "%s in %s", v, c.text)
		}
		for _, v := range strings.Fields(c.out) {
			in, err := r.Contains(v)
			require.NoError(t, err)
			require.False(t, in, "%s in %s", v, c.text)
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		scheme, text string
		want         error
	}{
		{"npm", ">=1.0.0|>=2.0.0", vers.ErrRange}, {"npm", "<1.0.0|<2.0.0", vers.ErrRange}, {"npm", ">=1.0.0|<1.0.0", vers.ErrRange},
		{"npm", "=1.0.0|!=1.0", vers.ErrRange}, {"npm", ">=", vers.ErrVersion}, {"npm", ">=1.0.0|", vers.ErrVersion}, {"npm", ">=*", vers.ErrVersion},
		{"npm", "~1.0", vers.ErrVersion}, {"npm", "^1.0", vers.ErrVersion}, {"npm", ">=latest", vers.ErrVersion}, {"npm", "<1.%zz", vers.ErrRange},
		{"deb", "<a:1", vers.ErrVersion}, {"apk", "<1.0-1", vers.ErrVersion}, {"pypi", "<1.0-x", vers.ErrVersion}, {"maven", "<(1,2]", vers.ErrVersion}, {"gem", "<~> 1", vers.ErrVersion},
		{"conan", "<1.0", vers.ErrScheme}, {"generic", ">=1", vers.ErrScheme}, {"", ">=1", vers.ErrScheme},
		{"npm", "<" + strings.Repeat("1", vers.MaxVersion+1), vers.ErrVersion}, {"npm", strings.Repeat("=", vers.MaxRange+1), vers.ErrRange},
	} {
		_, err := vers.Parse(c.scheme, c.text)
		require.ErrorIs(t, err, c.want, "%s %s", c.scheme, c.text)
	}
	r, err := vers.Parse("npm", "<1.0.0")
	require.NoError(t, err)
	for _, v := range []string{"", "unknown", "1.x", "(devel)", strings.Repeat("1", vers.MaxVersion+1)} {
		_, err := r.Contains(v)
		require.ErrorIs(t, err, vers.ErrVersion, "what cannot be compared is not outside: %s", v)
	}
	_, err = vers.Compare("conan", "1", "2")
	require.ErrorIs(t, err, vers.ErrScheme)
}

// FuzzRange: a range that is read answers for each of its own bounds, and an
// order is one: antisymmetric, and equal to itself.
func FuzzRange(f *testing.F) {
	for scheme, lines := range orders {
		for _, line := range lines {
			v := strings.Fields(line)
			f.Add(scheme, ">="+v[0]+"|<"+v[len(v)-1], v[0], v[len(v)-1])
		}
	}
	f.Add("deb", "<1%3A2", "1:~", "a:b")
	f.Add("rpm", ">1^|<1~", "~^", "^~")
	f.Fuzz(func(t *testing.T, scheme, text, a, b string) {
		if ab, err := vers.Compare(scheme, a, b); err == nil {
			ba, err := vers.Compare(scheme, b, a)
			require.NoError(t, err)
			require.Equal(t, cmp.Compare(ab, 0), -cmp.Compare(ba, 0))
			aa, err := vers.Compare(scheme, a, a)
			require.NoError(t, err)
			require.Zero(t, aa)
		}
		r, err := vers.Parse(scheme, text)
		if err != nil {
			return
		}
		_, _ = r.Contains(a)
	})
}
