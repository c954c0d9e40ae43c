// SPDX-License-Identifier: Apache-2.0

// Package apk reads the database of Alpine's package manager: the packages that
// are installed, the ones that somebody asked for, and which files belong to
// which package. The format is that of apk's index, with the files added
// (apk-package(5), apk-world(5) and https://wiki.alpinelinux.org/wiki/Apk_spec).
//
// A paragraph that breaks the format is left out and told of; the others count.
package apk

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/actor"
	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/frontend/catalog/license"
	"github.com/plombproject/plomb/provenance/sbom"
)

const (
	// maxInstalled is the largest database in bytes. It has a line or three for
	// each file: an installation of some gigabytes has about 10 MB.
	maxInstalled = 256 << 20
	// maxWorld is the largest list of packages that were asked for.
	maxWorld = 1 << 20
	// world is that list.
	world = "/etc/apk/world"
)

// places are where the database is; the second one since Alpine's /lib is a
// link to /usr/lib.
var places = []string{"/lib/apk/db/installed", "/usr/lib/apk/db/installed"}

// Readers are the rows of the catalogue's table.
func Readers() []ecosystem.Reader {
	return []ecosystem.Reader{{
		Name:   "apk",
		Wants:  func(p string, _ fs.FileInfo) bool { return slices.Contains(places, p) },
		Max:    maxInstalled,
		Places: places,
		Read:   read,
	}}
}

// Ownings are the rows of the catalogue's table of owners.
func Ownings() []ecosystem.Owning {
	return []ecosystem.Owning{{
		Name:  "apk's list of files",
		Wants: func(p string) bool { return slices.Contains(places, p) },
		Read:  readOwners,
	}}
}

var errBroken = errors.New("broken")

func read(ctx context.Context, t ecosystem.Tree, p string, _ fs.FileInfo) ([]sbom.Package, error) {
	data, err := t.ReadAll(p, maxInstalled)
	if err != nil {
		return nil, err
	}
	asked := readWorld(t)
	var out []sbom.Package
	var failed error
	for n, e := range entries(data, nil) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		pkg, err := describe(e, t.System())
		if err != nil {
			if failed == nil {
				failed = fmt.Errorf("paragraph %d, perhaps others: %w", n, err)
			}
			continue
		}
		pkg.Top = asked[pkg.Name]
		out = append(out, *pkg)
	}
	return out, failed
}

func readOwners(_ context.Context, t ecosystem.Tree, databases []string, own func(p, key string)) error {
	for _, p := range databases {
		data, err := t.ReadAll(p, maxInstalled)
		if err != nil {
			return err
		}
		file := func(e *entry, p string) {
			own(p, sbom.Package{Type: "apk", Name: e.fields['P'], Arch: e.fields['A']}.Key())
		}
		for range entries(data, file) {
			continue // the files are what is asked for
		}
	}
	return nil
}

// validName is what apk has for names. Packages made up by "apk add --virtual"
// begin with a dot.
var validName = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9._+-]*$`)

func describe(e entry, system *sbom.System) (*sbom.Package, error) {
	if e.err != nil {
		return nil, e.err
	}
	f := e.fields
	if !validName.MatchString(f['P']) || f['V'] == "" {
		return nil, fmt.Errorf("%w: no name or no version", errBroken)
	}
	p := &sbom.Package{
		Type: "apk", Name: f['P'], Version: f['V'], Arch: f['A'],
		Homepage: f['U'], Summary: f['T'], Supplier: actor.Parse(f['m']),
		Checksums: checksum(f['C']),
	}
	if f['o'] != "" && f['o'] != p.Name {
		p.Source = &sbom.Source{Name: f['o'], Version: p.Version}
	}
	p.License, p.Licenses = license.Normalise(f['L'])
	for word := range strings.FieldsSeq(f['p']) {
		p.Provides = append(p.Provides, nameOf(word))
	}
	for word := range strings.FieldsSeq(f['D']) {
		if name := nameOf(word); name != "" {
			p.Requires = append(p.Requires, []string{name})
		}
	}
	p.PURL = ecosystem.SystemPURL(system, p, p.Version, nil)
	return p, nil
}

// nameOf takes the version off "so:libc.musl-x86_64.so.1=1" or "busybox>=1.36",
// and the tag of a repository; "!name", a conflict, has none.
func nameOf(word string) string {
	if strings.HasPrefix(word, "!") {
		return ""
	}
	if end := strings.IndexAny(word, "<>=~@"); end >= 0 {
		return word[:end]
	}
	return word
}

// checksum decodes Q1 and the SHA-1 of the package's control data in Base64,
// by which apk knows the package; with Q2 it is a SHA-256.
func checksum(field string) map[string]string {
	for prefix, sum := range map[string]struct {
		name string
		size int
	}{"Q1": {"SHA1", 20}, "Q2": {"SHA256", 32}} {
		if text, ok := strings.CutPrefix(field, prefix); ok {
			if raw, err := base64.StdEncoding.DecodeString(text); err == nil && len(raw) == sum.size {
				return map[string]string{sum.name: hex.EncodeToString(raw)}
			}
		}
	}
	return nil
}

// readWorld returns the packages that somebody asked for.
func readWorld(t ecosystem.Tree) map[string]bool {
	asked := map[string]bool{}
	data, err := t.ReadAll(world, maxWorld)
	if err != nil {
		return asked
	}
	for word := range bytes.FieldsSeq(data) {
		asked[nameOf(string(word))] = true
	}
	delete(asked, "")
	return asked
}
