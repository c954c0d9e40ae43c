// SPDX-License-Identifier: Apache-2.0

package apk

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem/treetest"
	"github.com/plombproject/plomb/provenance/sbom"
)

// alpine is a tree of Alpine 3.20.
type alpine struct{ treetest.Tree }

func (alpine) System() *sbom.System { return &sbom.System{ID: "alpine", VersionID: "3.20.1"} }

func treeOf(files map[string]string) alpine {
	tree := treetest.Tree{}
	for p, content := range files {
		tree[p] = []byte(content)
	}
	return alpine{tree}
}

const two = `C:Q1qvTGHdzF6KLavt4PO0gs2a6pQ00=
P:ssl_client
V:1.36.1-r29
A:x86_64
T:External ssl_client for busybox wget
U:https://busybox.net/
L:GPL-2.0-only
o:busybox
m:Jane Doe <jane@example.org>
D:so:libc.musl-x86_64.so.1 musl>=1.2 !conflict /bin/sh
p:cmd:ssl_client=1.36.1-r29 so:libx.so.1=1
i:[busybox libssl3]
F:usr
F:usr/bin
M:0:0:755
R:ssl_client
a:0:0:755
Z:Q1qvTGHdzF6KLavt4PO0gs2a6pQ00=
R:other

P:.virtual
V:1
A:noarch
L:
R:top
`

func TestRead(t *testing.T) {
	tree := treeOf(map[string]string{places[0]: two, world: "ssl_client@edge>=1 !no\n"})
	packages, err := Readers()[0].Read(t.Context(), tree, places[0], nil)
	require.NoError(t, err)
	require.Equal(t, []sbom.Package{
		{
			Type: "apk", Name: "ssl_client", Version: "1.36.1-r29", Arch: "x86_64",
			PURL:     "pkg:apk/alpine/ssl_client@1.36.1-r29?arch=x86_64&distro=alpine-3.20.1&upstream=busybox",
			Supplier: "Person: Jane Doe (jane@example.org)", License: "GPL-2.0-only",
			Homepage: "https://busybox.net/", Summary: "External ssl_client for busybox wget",
			Source:    &sbom.Source{Name: "busybox", Version: "1.36.1-r29"},
			Checksums: map[string]string{"SHA1": "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"},
			Provides:  []string{"cmd:ssl_client", "so:libx.so.1"},
			Requires:  [][]string{{"so:libc.musl-x86_64.so.1"}, {"musl"}, {"/bin/sh"}},
			Top:       true,
		},
		{Type: "apk", Name: ".virtual", Version: "1", Arch: "noarch", PURL: "pkg:apk/alpine/.virtual@1?arch=noarch&distro=alpine-3.20.1"},
	}, packages)
}

func TestOwners(t *testing.T) {
	owners := map[string]string{}
	own := func(p, key string) { owners[p] = key }
	tree := treeOf(map[string]string{places[1]: two})
	o := Ownings()[0]
	require.True(t, o.Wants(places[1]))
	require.NoError(t, o.Read(t.Context(), tree, []string{places[1]}, own))
	require.Equal(t, map[string]string{
		"/usr/bin/ssl_client": "apk/ssl_client:x86_64", "/usr/bin/other": "apk/ssl_client:x86_64", "/top": "apk/.virtual:noarch",
	}, owners)
	require.Error(t, o.Read(t.Context(), tree, []string{places[0]}, own))
}

func TestChecksum(t *testing.T) {
	require.Equal(t, map[string]string{"SHA256": strings.Repeat("00", 32)}, checksum("Q2AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
	for _, field := range []string{"", "Q1", "Q1AAAA", "Q1!", "X1qvTGHdzF6KLavt4PO0gs2a6pQ00="} {
		require.Nil(t, checksum(field), field)
	}
}

func TestBroken(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no name":       {"V:1\n", "no name"},
		"no version":    {"P:a\n", "no version"},
		"name of paths": {"P:../secret\nV:1\n", "no name"},
		"no field":      {"P:a\nV:1\nsecret\n", "no field"},
		"NUL":           {"P:a\nV:1\nT:\x00\n", "no field"},
		"twice":         {"P:a\nP:b\nV:1\n", "twice"},
		"a long line":   {"P:a\nV:1\nT:" + strings.Repeat("x", maxLine) + "\n", "a line of more"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{two + "\n" + test.text, test.text + "\n" + two} {
				packages, err := Readers()[0].Read(t.Context(), treeOf(map[string]string{places[0]: text}), places[0], nil)
				require.ErrorIs(t, err, errBroken)
				require.ErrorContains(t, err, test.want)
				require.NotContains(t, err.Error(), "secret")
				require.Len(t, packages, 2)
			}
		})
	}
}

func FuzzInstalled(f *testing.F) {
	f.Add(two)
	f.Add("\n\nP:\n:\nF:../..\nR:../x\n")
	f.Fuzz(func(t *testing.T, text string) {
		tree := treeOf(map[string]string{places[0]: text})
		packages, err := read(t.Context(), tree, places[0], nil)
		if err != nil {
			require.ErrorIs(t, err, errBroken)
		}
		for _, p := range packages {
			require.Regexp(t, validName, p.Name)
		}
		require.NoError(t, readOwners(t.Context(), tree, []string{places[0]}, func(p, _ string) {
			require.True(t, strings.HasPrefix(p, "/"))
		}))
	})
}
