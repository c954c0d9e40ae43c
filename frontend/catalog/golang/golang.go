// SPDX-License-Identifier: Apache-2.0

// Package golang finds the Go modules that a program was linked from, in the
// build information that the Go linker leaves in it (debug/buildinfo). It finds
// them in programs and shared libraries alike, stripped or not.
//
// It does not look for modules in source trees, nor in a program's other text.
package golang

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/frontend/catalog/executable"
	"github.com/plombproject/plomb/frontend/catalog/purl"
	"github.com/plombproject/plomb/provenance/sbom"
)

const (
	// minSize is less than the Go runtime alone.
	minSize = 256 << 10
	// maxRead is how many bytes are read of one program: all that debug/buildinfo
	// wants of the largest ones, and what it may take of a hostile one.
	maxRead = 64 << 20
	// maxModules is more than any program is linked from.
	maxModules = 20_000
	// maxFlags is how many of the linker's variables are looked at.
	maxFlags = 100
)

// Readers returns the row for programs written in Go.
func Readers() []ecosystem.Reader {
	return []ecosystem.Reader{{Name: "Go program", Wants: wants, Max: executable.MaxSize, Read: read}}
}

func wants(path string, info fs.FileInfo) bool {
	return info.Size() >= minSize && executable.Wants(path, info)
}

func read(_ context.Context, t ecosystem.Tree, path string, info fs.FileInfo) ([]sbom.Package, error) {
	f, err := executable.Open(t, path, info)
	if err != nil || f == nil {
		return nil, err
	}
	defer f.Close()
	return Program(f)
}

// Program returns the modules of a program, none if it is not a Go program.
func Program(f *executable.File) ([]sbom.Package, error) {
	certain := f.HasSections()
	if certain && !f.Has(executable.GoBuildInfo) {
		return nil, nil
	}
	bounded := &boundedReader{r: f, left: maxRead}
	info, err := buildinfo.Read(bounded)
	switch {
	case bounded.left < 0:
		return nil, fmt.Errorf("more than %d bytes had to be read for Go's build information", maxRead)
	case err != nil && certain:
		return nil, fmt.Errorf("read Go's build information: %w", err)
	case err != nil:
		return nil, nil // most likely, it is in another language
	}
	if len(info.Deps) > maxModules {
		packages := modules(info, maxModules)
		return packages, fmt.Errorf("the program names %d modules, of which %d are listed", len(info.Deps), maxModules)
	}
	return modules(info, len(info.Deps)), nil
}

var errBound = errors.New("too much to read")

// A boundedReader fails when more was read of it than it allows.
type boundedReader struct {
	r    io.ReaderAt
	left int64
}

func (b *boundedReader) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errBound
	}
	return b.r.ReadAt(p, off)
}

// modules turns build information into packages: the main module, which needs
// all others, the others, and the standard library.
func modules(info *buildinfo.BuildInfo, limit int) []sbom.Package {
	var packages []sbom.Package
	var names [][]string
	for _, dep := range info.Deps[:limit] {
		if p, ok := dependency(dep); ok {
			packages = append(packages, p)
			names = append(names, []string{p.Name})
		}
	}
	if std, ok := standardLibrary(info.GoVersion); ok {
		packages = append(packages, std)
		names = append(names, []string{std.Name})
	}
	if main, ok := mainModule(info); ok {
		main.Requires = names
		packages = append(packages, main)
	}
	return packages
}

// mainModule is the module that the program itself is in. One that was built
// without modules, as distributions do, is known by its package's path; one
// that was built from bare files, or that is a part of Go, by nothing.
func mainModule(info *buildinfo.BuildInfo) (sbom.Package, bool) {
	path := info.Main.Path
	if path == "" {
		if host, _, _ := strings.Cut(info.Path, "/"); !strings.Contains(host, ".") {
			return sbom.Package{}, false
		}
		path = info.Path
	}
	p := newPackage(path, mainVersion(info))
	p.Top = true
	return p, true
}

// mainVersion: Go says "(devel)" for what was built in a working copy. Then
// what the makers told the linker comes first, and the commit second.
func mainVersion(info *buildinfo.BuildInfo) string {
	if v := released(info.Main.Version); v != "" {
		return v
	}
	known := map[string]string{}
	for _, s := range info.Settings {
		known[s.Key] = s.Value
	}
	for _, m := range linked.FindAllStringSubmatch(known["-ldflags"], maxFlags) {
		if v := "v" + strings.TrimPrefix(m[1], "v"); semver.IsValid(v) {
			return v
		}
	}
	return commit(known)
}

// linked is a variable for the version that the linker was told to set:
// -X main.version=1.2.3.
var linked = regexp.MustCompile(`-X[ =]["']?[A-Za-z0-9_./~-]*\.(?:[vV]ersion|gitVersion|VERSION)=["']?([A-Za-z0-9.+-]+)`)

// commit is the pseudo-version (https://go.dev/ref/mod#pseudo-versions) of the
// commit that a program was built from, as Go 1.24 and later stamp it.
func commit(settings map[string]string) string {
	at, err := time.Parse(time.RFC3339, settings["vcs.time"])
	revision := settings["vcs.revision"]
	if err != nil || len(revision) < 12 {
		return ""
	}
	version := module.PseudoVersion("", "", at, revision[:12])
	if settings["vcs.modified"] == "true" {
		version += "+dirty"
	}
	return version
}

// dependency is a module that was linked in. For one that was replaced it is
// the replacement; a replacement by a folder has no version that says what it
// is, so that the version asked for is not told either.
func dependency(dep *debug.Module) (sbom.Package, bool) {
	if dep == nil || dep.Path == "" {
		return sbom.Package{}, false
	}
	if dep.Replace == nil {
		return newPackage(dep.Path, released(dep.Version)), true
	}
	if dep.Replace.Version == "" || isFolder(dep.Replace.Path) {
		return newPackage(dep.Path, ""), true
	}
	p := newPackage(dep.Replace.Path, released(dep.Replace.Version))
	if dep.Replace.Path != dep.Path {
		p.Provides = []string{dep.Path}
	}
	return p, true
}

// released is "" for a module of the same workspace, which has no version.
func released(version string) string {
	if version == "(devel)" {
		return ""
	}
	return version
}

// isFolder: "If the path on the right side of the arrow is an absolute or
// relative path, it represents the local file path to a directory" (go.mod
// reference, replace directive).
func isFolder(path string) bool {
	return path == "" || strings.HasPrefix(path, ".") || strings.HasPrefix(path, "/") || strings.Contains(path, `\`)
}

// standardLibrary is listed because advisories are about it as well. Its
// version is that of Go, without what was changed or enabled: "go1.22.3
// X:nocoverageredesign".
func standardLibrary(goVersion string) (sbom.Package, bool) {
	version, _, _ := strings.Cut(goVersion, " ")
	version, _, _ = strings.Cut(version, "-X:")
	if !strings.HasPrefix(version, "go1") {
		return sbom.Package{}, false // a development version: devel +a813be86df
	}
	p := newPackage("stdlib", version)
	p.PURL = packageURL("stdlib", strings.TrimPrefix(version, "go"))
	p.Supplier, p.License, p.Homepage = "Organization: The Go Authors", "BSD-3-Clause", "https://go.dev/"
	return p, true
}

func newPackage(path, version string) sbom.Package {
	return sbom.Package{Type: "golang", Name: path, Version: version, PURL: packageURL(path, version)}
}

// packageURL: "The namespace and name must be lowercased", and "the name is the
// last segment of the module path" (purl specification, type golang).
func packageURL(path, version string) string {
	namespace, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		namespace, name = path[:i], path[i+1:]
	}
	return purl.New("golang", namespace, name, version)
}
