// SPDX-License-Identifier: Apache-2.0

// Package npm finds installed packages of Node.js by their package.json files
// (https://docs.npmjs.com/cli/configuring-npm/package-json): in node_modules
// folders, where distributions put them, and that of an application itself.
//
// A package.json without a valid name and a version describes no package: it
// marks a folder's kind of modules, or is a test's. It does not read lock
// files, which tell what somebody meant to install, nor bundles, in which
// nothing is left to find.
package npm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/frontend/catalog/purl"
	"github.com/plombproject/plomb/provenance/sbom"
)

// maxSize is the largest package.json in bytes: fifty times the largest one
// of a package that is in use.
const maxSize = 4 << 20

// Readers returns the row for package.json files.
func Readers() []ecosystem.Reader {
	return []ecosystem.Reader{{
		Name:  "npm package",
		Wants: func(p string, _ fs.FileInfo) bool { return path.Base(p) == "package.json" },
		Max:   maxSize,
		Read: func(_ context.Context, t ecosystem.Tree, p string, _ fs.FileInfo) ([]sbom.Package, error) {
			text, err := t.ReadAll(p, maxSize)
			if err != nil {
				return nil, err
			}
			return Manifest(p, text)
		},
	}}
}

// A manifest is a package.json. Fields are read one by one, as anyone may have
// written anything into the ones that npm does not look at.
type manifest map[string]json.RawMessage

var errName = errors.New("the package has a name that npm does not allow")

// Manifest returns the package that the package.json at a path describes, or
// none.
func Manifest(at string, text []byte) ([]sbom.Package, error) {
	var m manifest
	if err := json.Unmarshal([]byte(strings.TrimPrefix(string(text), "\uFEFF")), &m); err != nil {
		return nil, fmt.Errorf("parse package.json: %w", err)
	}
	name, version := m.text("name"), m.text("version")
	switch {
	case name == "" || version == "" || m.foreign():
		return nil, nil
	case !valid(name) && installedAs(at) != "":
		return nil, errName
	case !valid(name):
		return nil, nil // somebody's test data
	}
	p := sbom.Package{
		Type: "npm", Name: name, Version: version, PURL: packageURL(name, version),
		Homepage: m.homepage(), Summary: m.text("description"),
		Requires: m.requires(), Top: m.top(at),
	}
	p.License, p.Licenses = m.licenses()
	p.Originator = m.author()
	if p.Supplier = m.maintainer(); p.Supplier == "" {
		p.Supplier = p.Originator
	}
	// One that was installed under another name is required by that name.
	if folder := installedAs(at); folder != "" && folder != name {
		p.Provides = []string{folder}
	}
	return []sbom.Package{p}, nil
}

// validName: names are "less than or equal to 214 characters", "can't start
// with a dot or an underscore", "and can't contain any non-URL-safe
// characters". Old packages have capital letters.
var validName = regexp.MustCompile(`^(@[A-Za-z0-9~-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*$`)

func valid(name string) bool { return len(name) <= 214 && validName.MatchString(name) }

// foreign tells manifests of Visual Studio Code's extensions and of Unity's
// packages, which have the same file name and are in no registry of npm.
func (m manifest) foreign() bool {
	var engines map[string]json.RawMessage
	_ = json.Unmarshal(m["engines"], &engines) // another type: no such engine
	return engines["vscode"] != nil || m["contributes"] != nil || m["unity"] != nil
}

// packageURL: "The namespace is used for the scope of a scoped NPM package",
// with its @ (purl specification, type npm).
func packageURL(name, version string) string {
	namespace := ""
	if scope, rest, scoped := strings.Cut(name, "/"); scoped {
		namespace, name = scope, rest
	}
	return purl.New("npm", namespace, name, version)
}

// requires are the names under which other packages are loaded. A development
// dependency is none. A name may be an alias, "npm:other@1.0", and is then
// installed in a folder of the alias.
func (m manifest) requires() [][]string {
	needed := map[string]string{}
	for _, field := range []string{"dependencies", "optionalDependencies", "peerDependencies"} {
		var some map[string]json.RawMessage
		_ = json.Unmarshal(m[field], &some) // not an object: nothing npm would install
		for name, spec := range some {
			if needed[name] == "" {
				needed[name] = string(spec)
			}
		}
	}
	var out [][]string
	for _, name := range slices.Sorted(maps.Keys(needed)) {
		if !valid(name) {
			continue
		}
		alternatives := []string{name}
		if other := alias(needed[name]); other != "" && other != name {
			alternatives = append(alternatives, other)
		}
		out = append(out, alternatives)
	}
	return out
}

// alias is the name behind "npm:name@version".
func alias(spec string) string {
	other, ok := strings.CutPrefix(strings.Trim(spec, `"`), "npm:")
	if !ok {
		return ""
	}
	if i := strings.LastIndexByte(other, '@'); i > 0 {
		other = other[:i]
	}
	if !valid(other) {
		return ""
	}
	return other
}

// installedAs is the name of the package's folder below node_modules, with the
// scope; "" if it is in no such folder.
func installedAs(at string) string {
	dir := path.Dir(at)
	name, above := path.Base(dir), path.Dir(dir)
	if scope := path.Base(above); strings.HasPrefix(scope, "@") {
		name, above = scope+"/"+name, path.Dir(above)
	}
	if path.Base(above) != "node_modules" {
		return ""
	}
	return name
}

// system are the folders into which distributions install packages for others.
var system = []string{"/usr/share/nodejs/", "/usr/lib/nodejs/", "/usr/share/javascript/"}

// top tells what somebody asked for: an application itself, a package that was
// installed globally, and what npm up to version 6 noted as such.
func (m manifest) top(at string) bool {
	for _, dir := range system {
		if strings.HasPrefix(at, dir) {
			return false
		}
	}
	var by []string
	_ = json.Unmarshal(m["_requiredBy"], &by) // npm 7 and later do not note it
	if slices.Contains(by, "#USER") || slices.Contains(by, "/") {
		return true
	}
	if !strings.Contains(at, "/node_modules/") {
		return true
	}
	folder := installedAs(at)
	global := strings.TrimSuffix(at, "/node_modules/"+folder+"/package.json")
	return folder != "" && path.Base(global) == "lib" && !strings.Contains(global, "/node_modules/")
}
