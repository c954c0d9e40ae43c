// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// samples has paths as real builds leave them, for every rule of the table.
var samples = map[string][]string{
	"apt-cache":          {"var/cache/apt/pkgcache.bin", "var/cache/apt/srcpkgcache.bin"},
	"apt-lists":          {"var/lib/apt/lists/lock", "var/lib/apt/lists/partial/deb.debian.org_debian_dists_bookworm_InRelease"},
	"apt-log":            {"var/log/apt/history.log", "var/log/apt/term.log", "var/log/apt/eipp.log.xz"},
	"dpkg-log":           {"var/log/dpkg.log", "var/log/alternatives.log", "var/log/bootstrap.log"},
	"fontconfig-cache":   {"var/cache/fontconfig/3830d5c3ddfd5cd38a049b759396e72e-le64.cache-8", "var/cache/fontconfig/CACHEDIR.TAG"},
	"ldconfig-aux-cache": {"var/cache/ldconfig/aux-cache"},
	"machine-id":         {"etc/machine-id", "var/lib/dbus/machine-id"},
	"npm-cache": {
		"root/.npm/_cacache/index-v5/0a/1b/6f0b5d9e2f8a4a1e7b6e",
		"home/node/.npm/_cacache/index-v5/0a/1b/6f0b5d9e2f8a4a1e7b6e",
	},
	"npm-log": {"root/.npm/_logs/2024-05-06T07_08_09_123Z-debug-0.log", "home/node/.npm/_logs/x.log", "root/.npm/_update-notifier-last-checked"},
	"pip-cache": {
		"root/.cache/pip/http/0/1/2/3/4/01234b1e0f", "home/app/.cache/pip/http/0/1/2/3/4/01234b1e0f",
		"root/.cache/pip/http-v2/0/1/2/3/4/01234b1e0f.body", "home/app/.cache/pip/http-v2/0/1/2/3/4/01234b1e0f",
	},
	"pip-log": {"root/.cache/pip/selfcheck/b43a1b6e2d1f9e8a.json", "home/app/.cache/pip/selfcheck/x.json", "root/.pip/pip.log"},
}

// kept has neighbours of what is scrubbed, which must stay.
var kept = []string{
	"var/cache/apt/archives/x.deb", "var/lib/apt/lists/deb.debian.org_Packages", "var/lib/dpkg/status", "var/lib/dpkg/status-old",
	"var/log/apt/deep/er.log", "var/log/other.log", "app/var/log/dpkg.log", "var/cache/ldconfig/other", "etc/machine-info",
	"root/.npm/_cacache/index", "root/.cache/pip/http/x", "etc/ld.so.cache", "home/a/b/.npm/_logs/x",
}

func TestScrubTable(t *testing.T) {
	ids := map[string]bool{}
	for _, rule := range ScrubRules {
		t.Run(rule.ID, func(t *testing.T) {
			require.False(t, ids[rule.ID], "the ID is taken")
			ids[rule.ID] = true
			require.NotEmpty(t, rule.Reason)
			for _, pattern := range rule.Paths {
				require.True(t, strings.HasPrefix(pattern, "/"), pattern)
				_, err := path.Match(pattern, "/x")
				require.NoError(t, err)
			}
			if rule.rewrite == nil {
				require.NotEmpty(t, samples[rule.ID])
				for _, pattern := range rule.Paths {
					require.True(t, anyMatches(pattern, samples[rule.ID]), "no sample for %s", pattern)
				}
				scrubs(t, rule, samples[rule.ID])
			}
		})
	}
}

func anyMatches(pattern string, samples []string) bool {
	for _, s := range samples {
		if ok, _ := path.Match(pattern, "/"+s); ok {
			return true
		}
	}
	return false
}

func scrubs(t *testing.T, rule ScrubRule, paths []string) {
	for _, p := range paths {
		t.Run(p, func(t *testing.T) {
			s := newStep(t, nil)
			s.upper.file(p, "of this build").file("app", "1").all(late)
			report, got := s.sealed()
			require.Equal(t, []Scrubbed{{Path: "/" + p, Rule: rule.ID}}, report.Scrubbed)
			require.NotContains(t, strings.Join(got, "\n"), "- "+p+" ", "a new one stays out")
			require.Contains(t, got, "- app 0644 T")

			s = newStep(t, func(d tree) { d.file(p, "of the base") })
			s.upper.file(p, "of this build, longer")
			report, got = s.sealed()
			require.Len(t, report.Scrubbed, 1)
			require.Equal(t, []string{}, got)
			require.Contains(t, strings.Join(snapshot(t, s.out.root), "\n"), `"of the base"`, "a lower one stays")

			s = newStep(t, func(d tree) { d.file(p, "of the base") })
			s.upper.remove(p)
			report, got = s.sealed()
			require.Empty(t, report.Scrubbed)
			require.Contains(t, strings.Join(got, "\n"), "/.wh."+path.Base(p), "a deletion is a deletion")

			s = newStep(t, nil)
			s.rules.Scrub = false
			s.upper.file(p, "of a COPY").all(late)
			report, got = s.sealed()
			require.Empty(t, report.Scrubbed)
			require.Contains(t, got, "- "+p+" 0644 T")
			s.sameContent()
		})
	}
}

func TestScrubLeavesNeighboursAlone(t *testing.T) {
	s := newStep(t, nil)
	for _, p := range kept {
		s.upper.file(p, p)
	}
	// Rules are about regular files.
	s.upper.symlink("etc/machine-id", "/run/machine-id").fifo("var/log/dpkg.log").dir("var/cache/apt/pkgcache.bin").all(late)
	report, _ := s.sealed()
	require.Empty(t, report.Scrubbed)
	s.sameContent()
}

// The step after the one whose file was scrubbed sees the file all the same.
func TestScrubbedFilesMayGoLater(t *testing.T) {
	first := newStep(t, func(d tree) { d.dir("var/log/apt") })
	first.upper.file("var/log/apt/history.log", "1").file("var/log/apt/term.log", "1")
	report, _ := first.sealed()
	require.Equal(t, []Scrubbed{{"/var/log/apt/history.log", "apt-log"}, {"/var/log/apt/term.log", "apt-log"}}, report.Scrubbed, "sorted by path")

	second := first.next()
	second.upper.remove("var/log/apt/history.log").at(early, "var/log/apt")
	_, got := second.sealed()
	require.Equal(t, []string{}, got)

	third := first.next()
	third.upper.remove("var/log/apt")
	_, got = third.sealed()
	require.Equal(t, []string{"d var/ 0755 T", "d var/log/ 0755 T", "w var/log/.wh.apt"}, got)
}

func TestScrubOfAHardLink(t *testing.T) {
	s := newStep(t, nil)
	s.upper.file("var/log/dpkg.log", "1").link("var/log/kept", "var/log/dpkg.log").link("var/log/too", "var/log/kept").all(late)
	_, got := s.sealed()
	require.Equal(t, []string{"d var/ 0755 T", "d var/log/ 0755 T", "- var/log/kept 0644 T", "h var/log/too -> var/log/kept"}, got)
}

func day(t time.Time) int64 { return t.Unix() / 86400 }

func TestScrubShadow(t *testing.T) {
	line := func(name string, d int64) string { return fmt.Sprintf("%s:!:%d:0:99999:7:::\n", name, d) }
	for _, p := range []string{"etc/shadow", "etc/shadow-"} {
		t.Run(p, func(t *testing.T) {
			s := newStep(t, func(d tree) { d.file(p, line("root", day(early))).mode(p, 0o640) })
			s.upper.file(p, line("root", day(early))+line("app", day(late))).mode(p, 0o640)
			report, got := s.sealed()
			require.Equal(t, []string{"d etc/ 0755 T", "- " + p + " 0640 T"}, got)
			require.Equal(t, []Scrubbed{{"/" + p, "shadow-last-change"}}, report.Scrubbed)
			require.Equal(t, line("root", day(early))+line("app", day(clamp)), s.out.read(p))

			// Written once more on another day, it is no change.
			n := s.next()
			n.upper.file(p, line("root", day(early))+line("app", day(late)+1)).mode(p, 0o640).at(late.Add(time.Hour), p)
			_, got = n.sealed()
			require.Equal(t, []string{}, got)

			s.rules.Scrub = false
			s.out = s.copy(s.parent)
			_, _ = s.sealed()
			s.sameContent()
		})
	}
}

// A date before T is somebody's choice, whatever the file's own time is.
func TestScrubShadowLowersToTOnly(t *testing.T) {
	s := newStep(t, nil)
	before := fmt.Sprintf("app:!:%d:0:99999:7:::\n", day(clamp)-1)
	s.upper.file("etc/shadow", before).at(early, "etc/shadow")
	_, _ = s.sealed()
	require.Equal(t, before, s.out.read("etc/shadow"))
}

func TestClampShadowDays(t *testing.T) {
	when := time.Unix(100*86400+5, 0)
	for name, row := range map[string][2]string{
		"nothing":              {"", ""},
		"later":                {"a:x:101:0:::\n", "a:x:100:0:::\n"},
		"the day itself":       {"a:x:100:0:::\n", "a:x:100:0:::\n"},
		"earlier":              {"a:x:99:0:::\n", "a:x:99:0:::\n"},
		"zero: must change":    {"a:x:0:0:::\n", "a:x:0:0:::\n"},
		"no day":               {"a:x::0:::\n", "a:x::0:::\n"},
		"not a number":         {"a:x:1e9:0\n", "a:x:1e9:0\n"},
		"too large":            {"a:x:99999999999999999999:0\n", "a:x:99999999999999999999:0\n"},
		"two fields":           {"a:x\n", "a:x\n"},
		"no newline at end":    {"a:x:200:0", "a:x:100:0"},
		"an empty line, a mix": {"\na:x:1:0\nb:y:200:0\n", "\na:x:1:0\nb:y:100:0\n"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row[1], string(clampShadowDays([]byte(row[0]), when)))
		})
	}
}

func TestScrubRewritesNoHugeFile(t *testing.T) {
	s := newStep(t, nil)
	s.upper.file("etc/shadow", strings.Repeat("x", maxRewrite+1))
	_, err := Layer(t.Context(), Dirs{Lower: s.lower.root, Upper: s.upper.root, Out: s.out.root}, s.rules, nil)
	require.ErrorContains(t, err, "/etc/shadow")
	require.ErrorContains(t, err, "larger than")
}
