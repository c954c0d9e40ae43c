// SPDX-License-Identifier: Apache-2.0

package license_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/github/go-spdx/v2/spdxexp"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/license"
)

var references = regexp.MustCompile(`LicenseRef-[A-Za-z0-9.-]+`)

// requireValid checks an expression with a parser that is not ours, and that
// it declares what it refers to and nothing else.
func requireValid(t *testing.T, expression string, refs map[string]string) {
	t.Helper()
	named := map[string]bool{}
	for _, ref := range references.FindAllString(expression, -1) {
		named[ref] = true
		require.Contains(t, refs, ref, expression)
		require.NotEmpty(t, refs[ref], expression)
	}
	require.Len(t, named, len(refs), "%s declares %v", expression, refs)
	if expression == "" {
		return
	}
	valid, wrong := spdxexp.ValidateLicenses([]string{expression})
	require.True(t, valid, "%q: %v", expression, wrong)
}

const mitText = `Copyright (c) 2012 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software, to deal in the Software without restriction.

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.
`

func TestNormalise(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "",
		"  UNKNOWN \n":                     "",
		"NOASSERTION":                      "",
		"License":                          "",
		"MIT":                              "MIT",
		"mit":                              "MIT",
		"MIT License":                      "MIT",
		"GPL-2.0":                          "GPL-2.0-only",
		"GPL-2.0+":                         "GPL-2.0-or-later",
		"LGPL-2.1+":                        "LGPL-2.1-or-later",
		"AGPL-3.0":                         "AGPL-3.0-only",
		"Apache-2.0+":                      "Apache-2.0+",
		"StandardML-NJ":                    "SMLNJ",
		"Nunit":                            "Nunit",
		"GPL-2.0-with-classpath-exception": "GPL-2.0-only WITH Classpath-exception-2.0",
		// npm and cargo
		"(MIT OR Apache-2.0)":                     "MIT OR Apache-2.0",
		"MIT/Apache-2.0":                          "MIT OR Apache-2.0",
		"(MIT AND (BSD-2-Clause OR ISC)) OR 0BSD": "(MIT AND (BSD-2-Clause OR ISC)) OR 0BSD",
		"MIT AND MIT":                             "MIT",
		"Apache-2.0 WITH LLVM-exception":          "Apache-2.0 WITH LLVM-exception",
		// Python
		"License :: OSI Approved :: MIT License":                                             "MIT",
		"License :: OSI Approved":                                                            "",
		"License :: OSI Approved :: Apache Software License":                                 "Apache-2.0",
		"License :: OSI Approved :: GNU General Public License v2 or later (GPLv2+)":         "GPL-2.0-or-later",
		"License :: OSI Approved :: GNU General Public License v3 (GPLv3)":                   "GPL-3.0-only",
		"License :: OSI Approved :: GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
		"License :: OSI Approved :: GNU General Public License (GPL)":                        "GPL-1.0-or-later",
		"License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)":                    "MPL-2.0",
		"License :: OSI Approved :: Python Software Foundation License":                      "PSF-2.0",
		"License :: OSI Approved :: ISC License (ISCL)":                                      "ISC",
		"License :: OSI Approved :: The Unlicense (Unlicense)":                               "Unlicense",
		"BSD 3-Clause License":                                                               "BSD-3-Clause",
		"3-Clause BSD License":                                                               "BSD-3-Clause",
		"Apache License 2.0":                                                                 "Apache-2.0",
		"GPL (>= 2)":                                                                         "GPL-2.0-or-later",
		mitText:                                                                              "MIT",
		// Maven
		"The Apache Software License, Version 2.0":                   "Apache-2.0",
		"Apache License, Version 2.0":                                "Apache-2.0",
		"https://www.apache.org/licenses/LICENSE-2.0.txt":            "Apache-2.0",
		"http://www.apache.org/licenses/LICENSE-2.0":                 "Apache-2.0",
		"http://opensource.org/licenses/MIT":                         "MIT",
		"Eclipse Public License - v 2.0":                             "EPL-2.0",
		"Eclipse Public License v. 2.0":                              "EPL-2.0",
		"EDL 1.0":                                                    "BSD-3-Clause",
		"GNU Lesser General Public License, Version 2.1":             "LGPL-2.1-only",
		"GNU General Public License, version 2 or any later version": "GPL-2.0-or-later",
		"GPL2 w/ CPE": "GPL-2.0-only WITH Classpath-exception-2.0",
		"https://www.eclipse.org/org/documents/epl-v10.php":   "EPL-1.0",
		"https://www.gnu.org/software/classpath/license.html": "GPL-2.0-only WITH Classpath-exception-2.0",
		// apk and rpm
		"GPL-2.0-or-later AND MIT":            "GPL-2.0-or-later AND MIT",
		"GPL-2.0-only MIT":                    "GPL-2.0-only AND MIT",
		"GPLv2+ and MIT":                      "GPL-2.0-or-later AND MIT",
		"(GPLv3+ or LGPLv2) and BSD-3-Clause": "(GPL-3.0-or-later OR LGPL-2.0-only) AND BSD-3-Clause",
		"ASL 2.0 and MPLv1.1":                 "Apache-2.0 AND MPL-1.1",
		"GPL-3.0-or-later WITH GCC-exception-3.1 AND BSD-3-Clause": "GPL-3.0-or-later WITH GCC-exception-3.1 AND BSD-3-Clause",
		"MIT; BSD-3-Clause": "MIT AND BSD-3-Clause",
	} {
		t.Run(text, func(t *testing.T) {
			expression, refs := license.Normalise(text)
			require.Equal(t, want, expression)
			require.Empty(t, refs)
			requireValid(t, expression, refs)
		})
	}
}

func TestNormaliseDeclaresWhatIsNotOnTheList(t *testing.T) {
	for text, want := range map[string]struct {
		expression string
		texts      []string
	}{
		"BSD":                               {"LicenseRef-plomb-BSD", []string{"BSD"}},
		"UNLICENSED":                        {"LicenseRef-plomb-UNLICENSED", []string{"UNLICENSED"}},
		"Public Domain":                     {"LicenseRef-plomb-Public-Domain-%", []string{"Public Domain"}},
		"SEE LICENSE IN LICENSE.md":         {"LicenseRef-plomb-SEE-LICENSE-IN-LICENSE.md-%", []string{"SEE LICENSE IN LICENSE.md"}},
		"GPLv2+ and BSD":                    {"GPL-2.0-or-later AND LicenseRef-plomb-BSD", []string{"BSD"}},
		"GPLv3+ and GPLv3+ with exceptions": {"GPL-3.0-or-later AND LicenseRef-plomb-GPLv3-with-exceptions-%", []string{"GPLv3+ with exceptions"}},
		"MIT AND LicenseRef-Fedora-Public-Domain":         {"MIT AND LicenseRef-Fedora-Public-Domain", []string{"LicenseRef-Fedora-Public-Domain"}},
		"LicenseRef-A AND LicenseRef-B":                   {"LicenseRef-A AND LicenseRef-B", []string{"LicenseRef-A", "LicenseRef-B"}},
		"LicenseRef-plomb-BSD":                            {"LicenseRef-plomb-LicenseRef-plomb-BSD", []string{"LicenseRef-plomb-BSD"}},
		"Free for use and distribution, see the web page": {"LicenseRef-plomb-Free-for-use-and-distribution-see-the-we-%", []string{"Free for use and distribution, see the web page"}},
		"(MIT AND":                   {"LicenseRef-plomb-MIT-AND-%", []string{"(MIT AND"}},
		"MIT AND":                    {"LicenseRef-plomb-MIT-AND-%", []string{"MIT AND"}},
		"***":                        {"LicenseRef-plomb-%", []string{"***"}},
		"caf\xe9":                    {"LicenseRef-plomb-caf-%", []string{"caf\uFFFD"}},
		"DocumentRef-a:LicenseRef-b": {"LicenseRef-plomb-DocumentRef-a-LicenseRef-b-%", []string{"DocumentRef-a:LicenseRef-b"}},
	} {
		t.Run(text, func(t *testing.T) {
			expression, refs := license.Normalise(text)
			pattern := strings.ReplaceAll(regexp.QuoteMeta(want.expression), "%", "[0-9a-f]{16}")
			require.Regexp(t, "^"+pattern+"$", expression)
			var texts []string
			for _, text := range refs {
				texts = append(texts, text)
			}
			require.ElementsMatch(t, want.texts, texts)
			requireValid(t, expression, refs)
		})
	}
}

func TestTwoTextsNeverShareAReference(t *testing.T) {
	_, spelled := license.Normalise("Foo License")
	for id := range spelled {
		_, mimic := license.Normalise(strings.TrimPrefix(id, "LicenseRef-plomb-"))
		require.NotContains(t, mimic, id)
	}
	expression, refs := license.All([]string{"Foo License", "Foo-License", "foo license"})
	require.Len(t, refs, 3)
	requireValid(t, expression, refs)
}

func TestNormaliseBoundsALongText(t *testing.T) {
	expression, refs := license.Normalise("Terms\n" + strings.Repeat("é and ", 1<<16))
	require.Regexp(t, `^LicenseRef-plomb-[0-9a-f]{16}$`, expression)
	require.LessOrEqual(t, len(refs[expression]), 64<<10)
	require.Greater(t, len(refs[expression]), 63<<10)
	requireValid(t, expression, refs)

	deep := strings.Repeat("(", 1000) + "MIT" + strings.Repeat(")", 1000)
	expression, refs = license.Normalise(deep)
	require.Contains(t, refs, expression)
	requireValid(t, expression, refs)
}

func TestFromText(t *testing.T) {
	require.Equal(t, "MIT", license.FromText(mitText))
	require.Empty(t, license.FromText("MIT"), "a name is no text")
	require.Empty(t, license.FromText(mitText+strings.Repeat("and more ", 1<<12)))
}

func TestFullTextThatBundlesLicencesIsNoneOfThem(t *testing.T) {
	text := mitText + "\nRedistribution and use in source and binary forms. Redistributions in binary form must reproduce the above copyright notice. Neither the name of X"
	expression, refs := license.Normalise(text)
	require.Contains(t, refs, expression)
}

func TestAnyAndAll(t *testing.T) {
	expression, refs := license.Any([]string{"MIT", "GPL-2.0 AND ISC", "", "MIT"})
	require.Equal(t, "MIT OR (GPL-2.0-only AND ISC)", expression)
	requireValid(t, expression, refs)

	expression, refs = license.All([]string{"MIT", "Apache-2.0 OR BSD-2-Clause"})
	require.Equal(t, "MIT AND (Apache-2.0 OR BSD-2-Clause)", expression)
	requireValid(t, expression, refs)

	expression, refs = license.All(nil)
	require.Empty(t, expression)
	require.Nil(t, refs)
}

func TestFromDebian(t *testing.T) {
	for _, test := range []struct {
		names []string
		want  string
	}{
		{nil, ""},
		{[]string{"GPL-2+"}, "GPL-2.0-or-later"},
		{[]string{"GPL-2"}, "GPL-2.0-only"},
		{[]string{"GPL-2+ or Artistic"}, "GPL-2.0-or-later OR Artistic-1.0-Perl"},
		{[]string{"GPL-1+ or Artistic", "Expat", "BSD-3-clause", "Expat"}, "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND BSD-3-Clause AND MIT"},
		{[]string{"public-domain", "LGPL-2.1+"}, "LGPL-2.1-or-later AND LicenseRef-plomb-public-domain"},
		{[]string{"GPL-2+ with Autoconf exception"}, "GPL-2.0-or-later WITH Autoconf-exception-generic"},
		{[]string{"GPL-3+-WITH-BISON-EXCEPTION"}, "GPL-3.0-or-later WITH Bison-exception-2.2"},
		{[]string{"GPL-2 with Linux-syscall-note exception"}, "GPL-2.0-only WITH Linux-syscall-note"},
		{[]string{"LGPLv3+_or_GPLv2+"}, "LGPL-3.0-or-later OR GPL-2.0-or-later"},
		{[]string{"GPL-2+ or Artistic-2.0, and BSD-3-clause"}, "(GPL-2.0-or-later OR Artistic-2.0) AND BSD-3-Clause"},
		{[]string{"MIT and ISC, or Zlib"}, "(MIT AND ISC) OR Zlib"},
		{[]string{"GFDL-NIV-1.3+"}, "GFDL-1.3-no-invariants-or-later"},
		{[]string{"BSL-1.0", "OpenLDAP-2.8", "LGPL", "CC0"}, "BSL-1.0 AND CC0-1.0 AND LGPL-2.0-or-later AND OLDAP-2.8"},
		{[]string{"permissive", "curl", "MIT/X11"}, "LicenseRef-plomb-permissive AND MIT AND curl"},
		{[]string{"ISC and Zlib", "Expat"}, "ISC AND MIT AND Zlib"},
	} {
		t.Run(strings.Join(test.names, ","), func(t *testing.T) {
			expression, refs := license.FromDebian(test.names)
			require.Equal(t, test.want, expression)
			requireValid(t, expression, refs)
		})
	}
}

func TestFromDebianIgnoresTheOrder(t *testing.T) {
	one, _ := license.FromDebian([]string{"GPL-2+ or Artistic", "Expat", "odd"})
	two, _ := license.FromDebian([]string{"odd", "Expat", "GPL-2+ or Artistic", "odd"})
	require.Equal(t, one, two)
}

func FuzzNormalise(f *testing.F) {
	for _, seed := range []string{"MIT", "GPLv2+ and (BSD or ISC) with X exception", "A, or B; C/D|E", "LicenseRef-x", "https://x/y", mitText, "GPL-2.0+ WITH GCC-exception-2.0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		expression, refs := license.Normalise(text)
		requireValid(t, expression, refs)
		again, _ := license.Normalise(text)
		require.Equal(t, expression, again)
	})
}

func FuzzFromDebian(f *testing.F) {
	f.Add("GPL-2+ or Artistic", "Expat, and BSD")
	f.Add("(", "other-x")
	f.Fuzz(func(t *testing.T, one, two string) {
		expression, refs := license.FromDebian([]string{one, two})
		requireValid(t, expression, refs)
		turned, _ := license.FromDebian([]string{two, one})
		require.Equal(t, expression, turned)
	})
}

func BenchmarkNormalise(b *testing.B) {
	for i := 0; b.Loop(); i++ {
		license.Normalise(fmt.Sprintf("GPLv2+ and MIT or Vendor-%d", i%100))
	}
}
