// SPDX-License-Identifier: Apache-2.0

//go:build integration

package catalog

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Jars have the names that Debian's Maven repository has for them, and each is
// one package.
func TestNamesOfDebiansJars(t *testing.T) {
	dir, err := filepath.EvalSymlinks(dirs["debian-full"])
	require.NoError(t, err)
	want := debianJars(t, dir)
	require.GreaterOrEqual(t, len(want), 98)

	got := map[string][]string{}
	for _, f := range look(t, "debian-full").report.Findings {
		for _, p := range f.Packages {
			if p.Type == "maven" && len(p.Checksums) > 0 { // the jar itself, and not what is in it
				got[f.Path] = append(got[f.Path], p.Name+" "+p.Version)
			}
		}
	}
	right, versions := 0, 0
	for path, names := range want {
		require.Len(t, got[path], 1, path)
		name, version, _ := strings.Cut(got[path][0], " ")
		if names[name] == nil {
			t.Errorf("%s is %v and not %s", path, names, got[path][0])
			continue
		}
		right++
		if slices.Contains(names[name], version) {
			versions++
		} else {
			t.Errorf("%s is %s in version %v and not %s", path, name, names[name], version)
		}
	}
	t.Logf("of %d jars %d have their name, and %d their version", len(want), right, versions)
}

// debianJars maps jars to the names, and those to the versions, that the folders
// of the repository give them.
func debianJars(t *testing.T, dir string) map[string]map[string][]string {
	t.Helper()
	jars := map[string]map[string][]string{}
	repository := filepath.Join(dir, "usr/share/maven-repo")
	require.NoError(t, filepath.WalkDir(repository, func(p string, _ fs.DirEntry, err error) error {
		stem, isJar := strings.CutSuffix(p, ".jar")
		if err != nil || !isJar {
			return err
		}
		if _, err := os.Stat(stem + ".pom"); err != nil {
			return nil // a name for old times' sake
		}
		jar, err := filepath.EvalSymlinks(p)
		if err != nil {
			return err
		}
		parts := strings.Split(strings.TrimPrefix(filepath.Dir(p), repository+"/"), "/")
		last := len(parts) - 2
		path, name, version := strings.TrimPrefix(jar, dir), strings.Join(parts[:last], ".")+":"+parts[last], parts[last+1]
		if jars[path] == nil {
			jars[path] = map[string][]string{}
		}
		if version != "debian" && !strings.HasSuffix(version, ".x") {
			jars[path][name] = append(jars[path][name], version)
		}
		return nil
	}))
	return jars
}
