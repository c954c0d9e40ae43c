// SPDX-License-Identifier: Apache-2.0

//go:build integration

package catalog

import (
	"encoding/json"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/provenance/sbom"
)

// steps change debian-full as later instructions of a Dockerfile may.
var steps = []struct{ name, script string }{
	{"remove packages", `
		dpkg --purge --force-depends python3-flask libxerces2-java node-semver
		rm -r /opt/app/node_modules/express /usr/local/bin/registry`},
	{"move and replace", `
		mv /opt/app /srv/app
		mv /opt/java /srv/java
		ln -s /srv/java /opt/java
		rm -r /opt/venv
		echo no folder any more >/opt/venv
		rm /usr/share/java/gson.jar
		mkdir /usr/share/java/gson.jar`},
	{"put things back", `
		mkdir -p /opt/app/node_modules
		cp -r /srv/app/node_modules/lodash /opt/app/node_modules/
		sed -i 's/"version": "[^"]*"/"version": "99.0.0"/' /opt/app/node_modules/lodash/package.json
		rm /opt/venv
		cp -r /usr/lib/python3/dist-packages /opt/venv
		cp /usr/local/bin/gohello /usr/bin/gohello
		dpkg --purge tini
		printf 'ID=debian\nVERSION_ID="13"\n' >/etc/os-release`},
	{"leave everything", `true`},
	{"delete the databases", `rm -r /var/lib/dpkg /etc/os-release`},
}

// A base image and its layers, each looked at alone, put together are what one
// look at the whole finds.
func TestLayersAreTheWhole(t *testing.T) {
	minimal, full := dirs["debian-minimal"], dirs["debian-full"]
	layers := []sbom.Layer{
		{Report: look(t, "debian-minimal").report, Base: true},
		layer(t, minimal, full, "install"),
	}
	requireWhole(t, layers, full)

	below, dir := []string{full}, full
	for _, s := range steps {
		var merged string
		merged, below = step(t, s.script, below...)
		layers = append(layers, layer(t, dir, merged, s.name))
		t.Run(s.name, func(t *testing.T) { requireWhole(t, layers, merged) })
		dir = merged
	}
}

func layer(t *testing.T, lower, dir, name string) sbom.Layer {
	t.Helper()
	result, err := catalog.Layer(t.Context(), lower, dir, changes(t, lower, dir), catalog.Packages)
	require.NoError(t, err)
	// A report is what passes from one process to the next.
	data, err := json.Marshal(result.Report)
	require.NoError(t, err)
	report, err := catalog.ReadReport(data)
	require.NoError(t, err)
	return sbom.Layer{Report: *report, DiffID: "sha256:" + name, Instruction: name}
}

func requireWhole(t *testing.T, layers []sbom.Layer, dir string) {
	t.Helper()
	merged, all := sbom.Merge(layers), whole(t, dir).inventory
	require.Equal(t, text(t, all.System), text(t, merged.System))
	require.Equal(t, text(t, all.Unread), text(t, merged.Unread))
	want, got := lines(t, all), lines(t, merged)
	require.Empty(t, without(want, got), "in the whole alone")
	require.Empty(t, without(got, want), "in the layers alone")
	require.Equal(t, want, got)
}

// lines are the items, one each, without where they came from.
func lines(t *testing.T, inv *sbom.Inventory) []string {
	t.Helper()
	var out []string
	for _, item := range inv.Items {
		item.Origin = sbom.Origin{}
		data, err := json.Marshal(item)
		require.NoError(t, err)
		out = append(out, string(data))
	}
	return out
}

func without(list, other []string) []string {
	have := map[string]bool{}
	for _, s := range other {
		have[s] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return have[s] })
}

// What a package came from is the first layer that had it.
func TestOrigins(t *testing.T) {
	minimal, full := dirs["debian-minimal"], dirs["debian-full"]
	merged := sbom.Merge([]sbom.Layer{
		{Report: look(t, "debian-minimal").report, Base: true},
		layer(t, minimal, full, "install"),
	})
	of := map[string]sbom.Origin{}
	for _, item := range merged.Items {
		of[item.Type+" "+item.Name] = item.Origin
	}
	base := sbom.Origin{Base: true}
	install := sbom.Origin{DiffID: "sha256:install", Instruction: "install"}
	require.Equal(t, map[string]sbom.Origin{
		"deb bash": base, "deb python3-flask": install, "pypi Flask": install, "npm express": install,
		"golang github.com/distribution/distribution/v3": install, "maven org.example.guestbook:guestbook-boot": install,
	}, map[string]sbom.Origin{
		"deb bash": of["deb bash"], "deb python3-flask": of["deb python3-flask"], "pypi Flask": of["pypi Flask"],
		"npm express": of["npm express"], "golang github.com/distribution/distribution/v3": of["golang github.com/distribution/distribution/v3"],
		"maven org.example.guestbook:guestbook-boot": of["maven org.example.guestbook:guestbook-boot"],
	})
}

// The same for the list of all files.
func TestFilesOfLayersAreThoseOfTheWhole(t *testing.T) {
	minimal := dirs["debian-minimal"]
	base, err := catalog.Root(t.Context(), minimal, catalog.Files)
	require.NoError(t, err)
	merged, _ := step(t, `
		dpkg --purge --force-all tzdata
		echo changed >>/etc/issue
		mv /usr/share/doc/bash /opt/bash
		mkdir /usr/share/doc/bash`, minimal)
	top, err := catalog.Layer(t.Context(), minimal, merged, changes(t, minimal, merged), catalog.Files)
	require.NoError(t, err)
	all, err := catalog.Root(t.Context(), merged, catalog.Files)
	require.NoError(t, err)
	require.Greater(t, len(base.Files), len(all.Files))

	var got []sbom.File
	for file, err := range sbom.MergeFiles([]sbom.FileLayer{
		{Files: each(base.Files), Gone: base.Report.Gone},
		{Files: each(top.Files), Gone: top.Report.Gone},
	}) {
		require.NoError(t, err)
		got = append(got, file)
	}
	require.Equal(t, text(t, all.Files), text(t, got))
}

func each(files []sbom.File) iter.Seq2[sbom.File, error] {
	return func(yield func(sbom.File, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
	}
}
