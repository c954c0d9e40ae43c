// SPDX-License-Identifier: Apache-2.0

package license

// renamed are the deprecated ids of the SPDX list that have a successor, apart
// from the GNU licences' plain ones (https://spdx.org/licenses/, "Deprecated
// License Identifiers").
var renamed = map[string]string{
	"BSD-2-Clause-FreeBSD":             "BSD-2-Clause",
	"BSD-2-Clause-NetBSD":              "BSD-2-Clause",
	"bzip2-1.0.5":                      "bzip2-1.0.6",
	"eCos-2.0":                         "GPL-2.0-or-later WITH eCos-exception-2.0",
	"GPL-2.0-with-autoconf-exception":  "GPL-2.0-only WITH Autoconf-exception-2.0",
	"GPL-2.0-with-bison-exception":     "GPL-2.0-or-later WITH Bison-exception-2.2",
	"GPL-2.0-with-classpath-exception": "GPL-2.0-only WITH Classpath-exception-2.0",
	"GPL-2.0-with-font-exception":      "GPL-2.0-only WITH Font-exception-2.0",
	"GPL-2.0-with-GCC-exception":       "GPL-2.0-only WITH GCC-exception-2.0",
	"GPL-3.0-with-autoconf-exception":  "GPL-3.0-only WITH Autoconf-exception-3.0",
	"GPL-3.0-with-GCC-exception":       "GPL-3.0-only WITH GCC-exception-3.1",
	"StandardML-NJ":                    "SMLNJ",
	"wxWindows":                        "LGPL-2.0-or-later WITH WxWindows-exception-3.1",
}

// names are what databases call a licence and is neither an id nor a GNU
// licence. Written as found; spelling, case, "the" and "license" do not matter
// (squeeze). A name that leaves the licence open, like BSD, is not here.
var names = []struct {
	expression expr
	names      []string
}{
	{leaf("MIT"), []string{"Expat", "MIT/X11", "X11/MIT", "MIT X11", "MIT/Expat", "Expat/MIT", "MIT-Expat", "The MIT License (MIT)", "opensource.org/licenses/MIT",
		"opensource.org/licenses/mit-license", "opensource.org/license/mit", "Bouncy Castle Licence"}},
	{leaf("MIT-0"), []string{"MIT No Attribution License (MIT-0)", "MIT No Attribution"}},
	{leaf("Apache-2.0"), []string{"Apache", "Apache 2", "Apache Software License", "Apache Software License 2.0", "Apache Public License 2.0", "Apache License, ASL Version 2.0",
		"ASL 2.0", "ASL", "AL2", "Apache License (2.0)", "apache.org/licenses/LICENSE-2.0", "opensource.org/licenses/apache2.0",
		"opensource.org/licenses/Apache-2.0", "Apache Software License (Apache-2.0)", "Apache License Version 2.0, January 2004"}},
	{leaf("Apache-1.1"), []string{"ASL 1.1", "Apache Software License 1.1", "apache.org/licenses/LICENSE-1.1"}},
	{leaf("Apache-1.0"), []string{"ASL 1.0", "Apache Software License 1.0"}},
	{leaf("Apache-2.0 WITH LLVM-exception"), []string{"APACHE-2-LLVM-EXCEPTIONS", "Apache-2.0 with LLVM exceptions"}},
	{leaf("BSD-2-Clause"), []string{"BSD 2", "Simplified BSD", "BSD Simplified", "BSD 2-Clause Simplified License", "FreeBSD", "FreeBSD License", "BSD-2-clause-netbsd",
		"BSD-2-clause-FreeBSD", "opensource.org/licenses/BSD-2-Clause", "Two-clause BSD", "2-clause BSD"}},
	{leaf("BSD-3-Clause"), []string{"BSD 3", "New BSD", "BSD New", "Modified BSD", "Revised BSD", "BSD 3-Clause New or Revised License", "New BSD License (3-clause)",
		"opensource.org/licenses/BSD-3-Clause", "Three-clause BSD", "3-clause BSD", "EDL 1.0", "Eclipse Distribution License 1.0",
		"Eclipse Distribution License - v 1.0", "eclipse.org/org/documents/edl-v10", "BSD-3-clause-google", "BSD-3-google", "BSD3_Google", "BSD-3-clause-generic"}},
	{leaf("BSD-4-Clause"), []string{"BSD 4", "BSD with advertising"}},
	{leaf("0BSD"), []string{"BSD Zero Clause", "Zero-Clause BSD", "Zero-Clause BSD (0BSD)"}},
	{leaf("ISC"), []string{"ISC License (ISCL)", "ISCL"}},
	{leaf("Zlib"), []string{"zlib/libpng", "zlib/libpng License", "zlib-libpng"}},
	{leaf("MPL-1.0"), []string{"Mozilla Public License 1.0", "Mozilla Public License 1.0 (MPL)"}},
	{leaf("MPL-1.1"), []string{"Mozilla Public License 1.1", "Mozilla Public License 1.1 (MPL 1.1)", "mozilla.org/MPL/MPL-1.1"}},
	{leaf("MPL-2.0"), []string{"Mozilla Public License 2.0", "Mozilla Public License 2.0 (MPL 2.0)", "MPL2", "Mozilla Public License, v. 2.0", "mozilla.org/MPL/2.0"}},
	{leaf("EPL-1.0"), []string{"Eclipse Public License 1.0", "Eclipse Public License 1.0 (EPL-1.0)", "Eclipse Public License - v 1.0", "eclipse.org/legal/epl-v10", "eclipse.org/org/documents/epl-v10"}},
	{leaf("EPL-2.0"), []string{"Eclipse Public License 2.0", "Eclipse Public License 2.0 (EPL-2.0)", "Eclipse Public License - v 2.0", "eclipse.org/legal/epl-v20", "eclipse.org/legal/epl-2.0", "eclipse.org/org/documents/epl-2.0/EPL-2.0", "eclipse.org/org/documents/epl-2.0"}},
	{leaf("CDDL-1.0"), []string{"CDDL", "Common Development and Distribution License", "Common Development and Distribution License (CDDL) v1.0", "Common Development and Distribution License 1.0"}},
	{leaf("CDDL-1.1"), []string{"Common Development and Distribution License 1.1", "Common Development and Distribution License (CDDL) v1.1"}},
	{expr{"OR", []string{"CDDL-1.1", "GPL-2.0-only WITH Classpath-exception-2.0"}}, []string{"CDDL/GPLv2+CE", "CDDL + GPLv2 with classpath exception", "CDDL+GPL License", "CDDL+GPL", "glassfish.java.net/public/CDDL+GPL_1_1"}},
	{leaf("GPL-2.0-only WITH Classpath-exception-2.0"), []string{"GPL2 w/ CPE", "GPLv2+CE", "GPL-2.0 with classpath exception", "GNU General Public License, version 2 with the GNU Classpath Exception",
		"GNU General Public License, version 2 (GPL2), with the classpath exception", "GPL2 with classpath exception",
		"gnu.org/software/classpath/license"}},
	{leaf("Artistic-1.0-Perl"), []string{"Artistic", "Artistic-1", "Perl Artistic"}},
	{leaf("Artistic-2.0"), []string{"Artistic 2.0", "Artistic License 2.0", "Artistic clarified 2.0"}},
	{expr{"OR", []string{"Artistic-1.0-Perl", "GPL-1.0-or-later"}}, []string{"Perl", "Perl_5", "Same as Perl"}},
	{leaf("PSF-2.0"), []string{"PSF", "PSFL", "Python Software Foundation License", "Python Software Foundation", "PSF-2", "Python Software Foundation License 2.0"}},
	{leaf("Python-2.0"), []string{"Python", "Python License (CNRI Python License)"}},
	{leaf("ZPL-2.1"), []string{"Zope Public License", "Zope-2.1", "ZPL 2.1", "Zope Public License 2.1"}},
	{leaf("CC0-1.0"), []string{"CC0", "CC0 1.0 Universal", "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "Creative Commons Zero", "Public Domain, per Creative Commons CC0",
		"creativecommons.org/publicdomain/zero/1.0"}},
	{leaf("Unlicense"), []string{"The Unlicense (Unlicense)", "Unlicense", "unlicense.org"}},
	{leaf("BSL-1.0"), []string{"Boost", "Boost Software License", "Boost Software License 1.0", "Boost Software License 1.0 (BSL-1.0)", "Boost-1.0"}},
	{leaf("WTFPL"), []string{"Do What The F*ck You Want To Public License", "WTFPL 2"}},
	{leaf("UPL-1.0"), []string{"Universal Permissive License (UPL)", "Universal Permissive License, Version 1.0"}},
	{leaf("AFL-2.1"), []string{"Academic Free License 2.1"}},
	{leaf("AFL-3.0"), []string{"Academic Free License 3.0", "Academic Free License (AFL)"}},
	{leaf("OSL-3.0"), []string{"Open Software License 3.0", "Open Software License 3.0 (OSL-3.0)"}},
	{leaf("EUPL-1.1"), []string{"European Union Public Licence 1.1 (EUPL 1.1)", "European Union Public Licence 1.1"}},
	{leaf("EUPL-1.2"), []string{"European Union Public Licence 1.2 (EUPL 1.2)", "European Union Public Licence 1.2"}},
	{leaf("HPND"), []string{"Historical Permission Notice and Disclaimer (HPND)", "Historical Permission Notice and Disclaimer"}},
	{leaf("PostgreSQL"), []string{"PostgreSQL License"}},
	{leaf("W3C"), []string{"W3C License", "W3C-Software", "W3C Software Notice and License"}},
	{leaf("NCSA"), []string{"University of Illinois/NCSA Open Source License", "University of Illinois NCSA"}},
	{leaf("OFL-1.1"), []string{"SIL Open Font License 1.1 (OFL-1.1)", "SIL Open Font License 1.1", "OFL", "SIL OFL 1.1"}},
	{leaf("FTL"), []string{"FreeType", "FreeType Project License", "Freetype License"}},
	{leaf("OLDAP-2.8"), []string{"OpenLDAP-2.8", "OpenLDAP"}},
	{leaf("Libpng"), []string{"libpng License"}},
	{leaf("TCL"), []string{"Tcl/Tk"}},
	{leaf("Ruby"), []string{"Ruby's"}},
	{leaf("QPL-1.0"), []string{"QPL"}},
	{leaf("CPL-1.0"), []string{"Common Public License", "Common Public License 1.0"}},
	{leaf("GFDL-1.1-no-invariants-or-later"), []string{"GFDL-NIV", "GFDL-NIV-1.1+"}},
	{leaf("GFDL-1.2-no-invariants-or-later"), []string{"GFDL-NIV-1.2+"}},
	{leaf("GFDL-1.2-no-invariants-only"), []string{"GFDL-NIV-1.2"}},
	{leaf("GFDL-1.3-no-invariants-or-later"), []string{"GFDL-NIV-1.3+", "GFDL-1.3+-no-invariants"}},
	{leaf("GFDL-1.3-no-invariants-only"), []string{"GFDL-NIV-1.3"}},
	{leaf("BlueOak-1.0.0"), []string{"Blue Oak Model License 1.0.0"}},
}

// exceptions are names of exceptions, squeezed and without the word; an empty
// license goes with any.
var exceptions = []struct{ name, license, id string }{
	{"autoconf", "GPL-2.0", "Autoconf-exception-generic"},
	{"autoconf", "GPL-3.0", "Autoconf-exception-generic-3.0"},
	{"libtool", "", "Libtool-exception"},
	{"bison", "", "Bison-exception-2.2"},
	{"classpath", "", "Classpath-exception-2.0"},
	{"classpath 2", "", "Classpath-exception-2.0"},
	{"font", "", "Font-exception-2.0"},
	{"llvm", "", "LLVM-exception"},
	{"linux syscall note", "", "Linux-syscall-note"},
	{"gcc", "GPL-2.0", "GCC-exception-2.0"},
	{"gcc", "GPL-3.0", "GCC-exception-3.1"},
	{"gcc runtime library", "GPL-3.0", "GCC-exception-3.1"},
	{"gcc runtime library 3.1", "GPL-3.0", "GCC-exception-3.1"},
	{"texinfo", "GPL-3.0", "Texinfo-exception"},
	{"ocaml linking", "LGPL", "OCaml-LGPL-linking-exception"},
}
