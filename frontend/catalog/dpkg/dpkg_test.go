// SPDX-License-Identifier: Apache-2.0

package dpkg

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem/treetest"
	"github.com/plombproject/plomb/provenance/sbom"
)

// debian is a tree of Debian 12.
type debian struct{ treetest.Tree }

func (debian) System() *sbom.System { return &sbom.System{ID: "debian", VersionID: "12"} }

func treeOf(files map[string]string) debian {
	tree := treetest.Tree{}
	for p, content := range files {
		tree[p] = []byte(content)
	}
	return debian{tree}
}

// installed are the packages of a status file in a system.
func installed(t *testing.T, files map[string]string) ([]sbom.Package, error) {
	t.Helper()
	tree := treeOf(files)
	return readStatus(t.Context(), tree, statusFile, nil)
}

func one(t *testing.T, fields string, more map[string]string) sbom.Package {
	t.Helper()
	files := map[string]string{statusFile: "Package: a\nStatus: install ok installed\nVersion: 1-2\nArchitecture: amd64\n" + fields}
	for p, content := range more {
		files[p] = content
	}
	packages, err := installed(t, files)
	require.NoError(t, err)
	require.Len(t, packages, 1)
	return packages[0]
}

func TestState(t *testing.T) {
	for status, there := range map[string]bool{
		"install ok installed":             true,
		"hold ok installed":                true,
		"install ok unpacked":              true,
		"install ok half-configured":       true,
		"install reinstreq half-installed": true,
		"install ok triggers-pending":      true,
		"install ok triggers-awaited":      true,
		"deinstall ok config-files":        false,
		"purge ok not-installed":           false,
	} {
		packages, err := installed(t, map[string]string{statusFile: "Package: a\nStatus: " + status + "\nVersion: 1\nArchitecture: all\n"})
		require.NoError(t, err)
		require.Equal(t, there, len(packages) == 1, status)
	}
}

func TestFields(t *testing.T) {
	p := one(t, "Description: first line\n second\nHomepage: https://example.org/\nsource: b (1)\n"+
		"Pre-Depends: c (>= 1:2), d:any\nDepends: e | f [amd64] <!nocheck>,\n g\nProvides: h (= 1), i\n", nil)
	require.Equal(t, sbom.Package{
		Type: "deb", Name: "a", Version: "1-2", Arch: "amd64",
		PURL:    "pkg:deb/debian/a@1-2?arch=amd64&distro=debian-12&upstream=b%401",
		Summary: "first line", Homepage: "https://example.org/",
		Source:   &sbom.Source{Name: "b", Version: "1"},
		Requires: [][]string{{"c"}, {"d"}, {"e", "f"}, {"g"}}, Provides: []string{"h", "i"},
	}, p)
	require.Equal(t, &sbom.Source{Name: "b", Version: "1-2"}, one(t, "Source: b\n", nil).Source)
}

func TestSupplier(t *testing.T) {
	for field, want := range map[string]string{
		"Jane Doe <jane@example.org>":                "Person: Jane Doe (jane@example.org)",
		"Debian X Strike Force <x@lists.debian.org>": "Organization: Debian X Strike Force",
		"Ubuntu Developers <u@example.org>":          "Organization: Ubuntu Developers",
		"":                                           "",
	} {
		require.Equal(t, want, maintainer(field))
	}
	require.Equal(t, "Person: Jane Doe (jane@example.org)", one(t, "Original-Maintainer: Jane Doe <jane@example.org>\n", nil).Originator)
}

func TestTop(t *testing.T) {
	states := "Package: b\nArchitecture: amd64\nAuto-Installed: 1\n"
	came := "Package: a\nArchitecture: amd64\nAuto-Installed: 1\n"
	for name, test := range map[string]struct {
		fields, states string
		want           bool
	}{
		"nobody noted":     {"", "", false},
		"asked for":        {"", states, true},
		"came for another": {"", came, false},
		"no longer":        {"", strings.Replace(came, "1", "0", 1), true},
		"essential":        {"Essential: yes\n", states, false},
		"required":         {"Priority: required\n", states, false},
		"optional":         {"Priority: optional\n", states, true},
	} {
		more := map[string]string{extendedStates: test.states}
		if test.states == "" {
			more = nil
		}
		require.Equal(t, test.want, one(t, test.fields, more).Top, name)
	}
	a := &auto{packages: map[string]bool{"x": true, "x:amd64": true}}
	require.False(t, a.asked("x", "all"), "apt notes the system's architecture for packages of any")
	require.True(t, a.asked("x", "i386"))
}

func TestLicense(t *testing.T) {
	const format = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
	for name, test := range map[string]struct{ text, want string }{
		"none":                {"All rights reserved.", ""},
		"files":               {format + "\nFiles: *\nCopyright: x\nLicense: Expat\n text\n", "MIT"},
		"on the next line":    {format + "\nFiles: *\nLicense:\n GPL-2+\n", "GPL-2.0-or-later"},
		"header":              {format + "License: Apache-2.0\n", "Apache-2.0"},
		"text is no file's":   {format + "\nFiles: *\nLicense: Expat\n\nLicense: GPL-2\n text\n", "MIT"},
		"several":             {format + "\nFiles: *\nLicense: GPL-2+\n\nFiles: b\nLicense: Expat\n\nFiles: c\nLicense: Expat\n", "GPL-2.0-or-later AND MIT"},
		"draft of the format": {"Format-Specification: http://dep.debian.net/deps/dep5\n\nFiles: *\nLicense: ISC\n", "ISC"},
		"other format":        {"Format: free\nLicense: ISC\n", ""},
		"reference":           {"see /usr/share/common-licenses/Apache-2.0.", "Apache-2.0"},
		"version only":        {"version 2 ... `/usr/share/common-licenses/GPL-2'", "GPL-2.0-only"},
		"or later":            {"version 2 or (at your option) any later\n version ... /usr/share/common-licenses/GPL-2", "GPL-2.0-or-later"},
		"the newest":          {"version 2.1 or any later version ... /usr/share/common-licenses/LGPL", "LGPL-2.1-or-later"},
		"two references":      {"/usr/share/common-licenses/BSD and /usr/share/common-licenses/GPL-3", "BSD-3-Clause AND GPL-3.0-only"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, one(t, "", map[string]string{docCopyright("a"): test.text}).License)
		})
	}
}

// What is good in a broken file counts, and what is broken is told without
// quoting it.
func TestBroken(t *testing.T) {
	const good = "Package: good\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n"
	for name, test := range map[string]struct {
		text, want string
		count      int
	}{
		"no package":       {"Status: install ok installed\nVersion: 1\n", "no package name", 1},
		"name with slash":  {"Package: ../secret\nStatus: install ok installed\nVersion: 1\n", "no package name", 1},
		"no status":        {"Package: secret\nVersion: 1\n", "no status", 1},
		"half a status":    {"Package: secret\nStatus: install ok\nVersion: 1\n", "no status", 1},
		"no version":       {"Package: b\nStatus: install ok installed\nArchitecture: all\n", "no version", 2},
		"bad architecture": {"Package: b\nStatus: install ok installed\nVersion: 1\nArchitecture: a b\n", "no architecture", 2},
		"NUL":              {"Package: secret\x00\n", "NUL", 1},
		"no field":         {"secret\n", "no field", 1},
		"no field's rest":  {" secret\n", "continues no field", 1},
		"spaces":           {"Package secret: a\n", "no field", 1},
		"a field twice":    {"Package: secret\nPackage: secret\n", "twice", 1},
		"large field":      {"Package: a\nDescription: x\n " + strings.Repeat("secret", maxField/6+1) + "\n", "more than", 1},
		"there before":     {good, "there before", 2},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{good + test.text, test.text + "\n" + good} {
				packages, err := installed(t, map[string]string{statusFile: text})
				require.ErrorIs(t, err, errBroken)
				require.ErrorContains(t, err, test.want)
				require.NotContains(t, err.Error(), "secret")
				require.Len(t, packages, test.count)
			}
		})
	}
	_, err := installed(t, map[string]string{statusFile: "a\n\nb\n\nc\n"})
	require.ErrorContains(t, err, "stanza 1, and 2 others")
}

func TestOnePackageAFile(t *testing.T) {
	r := Readers()[1]
	require.True(t, r.Wants(statusDir+"base", nil))
	require.False(t, r.Wants(statusDir+"base.md5sums", nil))
	require.False(t, r.Wants(statusDir+"a/b", nil))
	tree := treeOf(map[string]string{statusDir + "base": "Package: base-files\nVersion: 12\nArchitecture: amd64\n"})
	packages, err := r.Read(t.Context(), tree, statusDir+"base", nil)
	require.NoError(t, err)
	require.Equal(t, "base-files", packages[0].Name)
}

func TestOwners(t *testing.T) {
	tree := treeOf(map[string]string{
		statusFile: "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n" +
			"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\n\n",
		listDir + "a:amd64.list":      "/.\n/bin/a\n/bin/same\n",
		listDir + "b.list":            "/bin/nobody\n",
		listDir + "gone.list":         "/bin/gone\n",
		diversions:                    "/bin/a\n/bin/a.distrib\nother\n/bin/same\n/bin/same.distrib\na\n",
		statusDir + "base":            "Package: base\nVersion: 1\nArchitecture: all\n",
		statusDir + "base.md5sums":    "d41d8cd98f00b204e9800998ecf8427e  usr/bin/base\n\nbroken\n",
		statusDir + "nothing.md5sums": "d41d8cd98f00b204e9800998ecf8427e  usr/bin/nothing\n",
	})
	o := Ownings()[0]
	lists := []string{
		listDir + "a:amd64.list", listDir + "b.list", listDir + "gone.list", statusDir + "base.md5sums", statusDir + "nothing.md5sums",
	}
	for _, list := range lists {
		require.True(t, o.Wants(list), list)
	}
	require.False(t, o.Wants(listDir+"a.md5sums"))
	owners := map[string]string{}
	require.NoError(t, o.Read(t.Context(), tree, lists, func(p, key string) { owners[p] = key }))
	require.Equal(t, map[string]string{
		"/.": "deb/a:amd64", "/bin/a.distrib": "deb/a:amd64", "/bin/same": "deb/a:amd64", "/usr/bin/base": "deb/base:all",
	}, owners)
	require.Error(t, o.Read(t.Context(), tree, []string{listDir + "missing.list"}, func(string, string) {}))
}

func FuzzStatus(f *testing.F) {
	f.Add("Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nDepends: b | c (>= 1), d\nSource: e (2)\nMaintainer: X <y@z>\n\nPackage: b\n")
	f.Add(" \n\t\n#\n:\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		for _, status := range []bool{true, false} {
			found, err := packages(t.Context(), treeOf(nil), []byte(text), status)
			if err != nil {
				require.ErrorIs(t, err, errBroken)
			}
			for _, p := range found {
				require.Regexp(t, validName, p.Name)
				require.NotContains(t, p.Summary, "\n")
			}
		}
	})
}

func FuzzCopyright(f *testing.F) {
	f.Add("Format: copyright-format/1.0\n\nFiles: *\nLicense: GPL-2+ and Expat\n text\n")
	f.Add("see /usr/share/common-licenses/GPL-2 or any later version")
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range licenseNames([]byte(text)) {
			require.NotContains(t, name, "\n")
			require.NotEmpty(t, name)
		}
	})
}
