// SPDX-License-Identifier: Apache-2.0

package java

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
)

// repository is where Debian notes which projects of Maven its jars are
// (https://www.debian.org/doc/packaging-manuals/java-policy/): links to them at
// GROUP/ARTIFACT/VERSION/ARTIFACT-VERSION.jar, with the project beside them.
// Jars that were not built by Maven do not say it themselves.
const repository = "/usr/share/maven-repo"

const (
	// maxRepository is how many entries of the repository are looked at, and
	// maxFolders how deep its folders may be: all Java packages of Debian have
	// about 20,000, at most 12 deep. Jars that are only beyond are named as if
	// there were none.
	maxRepository = 200_000
	maxFolders    = 32
	// maxNames is how many projects one jar may be. Most are one, noted under its
	// version and under the alias "debian".
	maxNames = 16
)

// records are the project files beside the links to a jar, by its path.
type records map[string][]string

// recorded are the projects that a jar is, the best one first.
func recorded(t ecosystem.Tree, jar string) []*pom {
	if !strings.HasPrefix(jar, "/usr/") {
		return nil // none of a distribution's
	}
	all := t.Once("java: "+repository, func() any { return readRepository(t) }).(records)
	var poms []*pom
	exact := map[*pom]bool{}
	for _, at := range all[jar][:min(len(all[jar]), maxNames)] {
		p := readRecord(t, at)
		exact[p] = p.version == path.Base(path.Dir(at))
		poms = append(poms, p)
	}
	artifact, _ := splitName(path.Base(jar))
	rank := func(p *pom) int {
		switch {
		case p.version == "":
			return 3
		case !exact[p]:
			return 2
		case p.artifact != artifact:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(poms, func(a, b *pom) int { return cmp.Compare(rank(a), rank(b)) })
	return poms
}

// readRepository finds the links, in the order of their paths.
func readRepository(t ecosystem.Tree) records {
	all := records{}
	room := maxRepository
	var folder func(dir string, depth int)
	folder = func(dir string, depth int) {
		entries, err := t.ReadDir(dir)
		if err != nil || len(entries) > room || depth > maxFolders {
			return
		}
		room -= len(entries)
		if pom := record(dir, entries); pom != "" {
			if jar, err := t.Resolve(strings.TrimSuffix(pom, ".pom") + ".jar"); err == nil {
				all[jar] = append(all[jar], pom)
			}
		}
		for _, e := range entries {
			if e.IsDir() {
				folder(dir+"/"+e.Name(), depth+1)
			}
		}
	}
	folder(repository, 0)
	return all
}

// record returns the project in the folder of one version if a jar is beside
// it: relocations and parents have none.
func record(dir string, entries []fs.DirEntry) string {
	name := path.Base(path.Dir(dir)) + "-" + path.Base(dir)
	has := func(file string) bool {
		i, there := slices.BinarySearchFunc(entries, file, func(e fs.DirEntry, file string) int { return strings.Compare(e.Name(), file) })
		return there && !entries[i].IsDir()
	}
	group, _ := coordinatesOf(dir)
	if group == "" || !has(name+".jar") || !has(name+".pom") {
		return ""
	}
	return dir + "/" + name + ".pom"
}

// coordinatesOf a folder of the repository; "" if it is not deep enough.
func coordinatesOf(dir string) (group, artifact string) {
	above := path.Dir(dir)
	group = strings.TrimPrefix(strings.TrimPrefix(path.Dir(above), repository), "/")
	return strings.ReplaceAll(group, "/", "."), path.Base(above)
}

// readRecord reads a project. The folders name it, as they do for Maven; a
// project that cannot be read says nothing more.
func readRecord(t ecosystem.Tree, at string) *pom {
	p := &pom{}
	if text, err := t.ReadAll(at, maxPOM); err == nil {
		_ = p.project(text) // no XML: nothing more
	}
	dir := path.Dir(at)
	p.group, p.artifact = coordinatesOf(dir)
	p.version = path.Base(dir)
	p.resolve()
	if original := p.expand("${debian.originalVersion}"); original != "" {
		p.version = original
	} else if isAlias(p.version) {
		p.version = ""
	}
	return p
}

// isAlias tells the folders of packages that others are not to ask for by
// version: debian, 1.x.
func isAlias(version string) bool {
	return version == "debian" || strings.HasSuffix(version, ".x") || version == "x"
}
