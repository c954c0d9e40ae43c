// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sbom

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

// status is a database of dpkg.
const status = `Package: base-files
Status: install ok installed
Version: 12.4
Architecture: amd64
Maintainer: Santiago Vila <sanvila@debian.org>
Description: Debian base system miscellaneous files

`

const layered = `FROM ${BUSYBOX}
COPY status /var/lib/dpkg/
COPY first /app/node_modules/first
RUN mkdir -p /app/node_modules/second && echo '{"name":"second","version":"1.0.0"}' > /app/node_modules/second/package.json
COPY last /app/node_modules/last
`

func layeredFiles() map[string]string {
	return map[string]string{"status": status, "first/package.json": npm("first"), "last/package.json": npm("last")}
}

// Whatever builds, and whatever is listed, image and documents are the same.
func TestSameBytes(t *testing.T) {
	native := standtest.Start(t, stand.Options{Only: []string{stand.Buildkitd}, Beside: on, Snapshotter: "native"})
	dir := folder(t, layered, layeredFiles())
	var images []*image
	documents := map[string][][][]byte{}
	for tag, b := range map[string]build{
		"packages":        {},
		"packages-again":  {},
		"packages-native": {on: native},
		"files":           {level: "files"},
		"files-native":    {level: "files", on: native},
		"off":             {level: "off"},
	} {
		b.dir, b.tag, b.args = dir, tag, []string{"--no-cache"}
		img := b.push(t)
		images = append(images, img)
		level, _, _ := strings.Cut(tag, "-")
		documents[level] = append(documents[level], img.documents["linux/amd64"])
	}
	for _, img := range images[1:] {
		require.Equal(t, images[0].configs, img.configs)
		require.Equal(t, images[0].manifests, img.manifests)
	}
	for level, want := range map[string]int{"packages": 1, "files": 2, "off": 0} {
		for _, docs := range documents[level] {
			require.Len(t, docs, want, level)
			for i := range docs {
				require.Equal(t, string(documents[level][0][i]), string(docs[i]), level)
			}
		}
	}
}

// What did not change is not looked at again, and the document is that of a
// clean build.
func TestIncremental(t *testing.T) {
	dir := folder(t, layered, layeredFiles())
	const (
		base   = "[plomb] catalogue the base image"
		first  = "[plomb] seal [3/5] COPY first /app/node_modules/first"
		last   = "[plomb] seal [5/5] COPY last /app/node_modules/last"
		search = "[plomb] look for the SBOM of the base image"
	)
	looks := func(img *image, cached bool) []string {
		var out []string
		for _, name := range slices.Sorted(maps.Keys(steps(img.log))) {
			look := strings.HasPrefix(name, "[plomb] seal ") || name == base || name == search
			if look && steps(img.log)[name] == cached {
				out = append(out, name)
			}
		}
		return out
	}
	build{dir: dir, tag: "earlier"}.push(t)
	before := build{dir: dir, args: []string{"--no-cache"}}.push(t)
	require.Len(t, looks(before, false), 4, before.log)
	require.Equal(t, []string{base, search}, looks(before, true), "the base is what it was for the other tests")

	write(t, dir, "last/package.json", strings.ReplaceAll(npm("last"), "1.0.0", "2.0.0"))
	after := build{dir: dir}.push(t)
	require.Equal(t, []string{last}, looks(after, false), after.log)
	require.Contains(t, looks(after, true), base)
	require.Equal(t, "2.0.0", after.sbom(t).find(t, "last").Version)
	require.Equal(t, before.sbom(t).find(t, "second"), after.sbom(t).find(t, "second"))
	requireClean(t, dir, after)

	write(t, dir, "first/package.json", npm("early"))
	early := build{dir: dir}.push(t)
	require.Contains(t, looks(early, false), first)
	require.Contains(t, looks(early, true), base)
	require.Equal(t, []string{"base-files", "early", "last", "second"}, early.sbom(t).names())
	requireClean(t, dir, early)
}

func requireClean(t *testing.T, dir string, img *image) {
	t.Helper()
	clean := build{dir: dir, tag: "clean", args: []string{"--no-cache"}}.push(t)
	require.Equal(t, clean.manifests, img.manifests)
	require.Equal(t, string(clean.sbom(t).raw), string(img.sbom(t).raw))
}
