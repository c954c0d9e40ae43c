// SPDX-License-Identifier: Apache-2.0

// Package rpm reads the database of the RPM package manager, in each of the
// three formats that distributions have: SQLite (since RPM 4.16), ndb (SUSE)
// and Berkeley DB's hash files (before).
//
// The formats are read here, page by page, and not with the libraries that
// write them: those want a file by name, a folder they may write to, and trust
// what is in the file. Only what it takes to list the packages is implemented.
package rpm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"strconv"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/actor"
	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/frontend/catalog/license"
	"github.com/plombproject/plomb/provenance/sbom"
)

const (
	// maxDatabase is the largest database in bytes. That of an installation of
	// 3,000 packages has about 150 MB.
	maxDatabase = 2 << 30
	// maxBlob is the largest header of one package in bytes, as in rpm.
	maxBlob = 256 << 20
)

// errFormat is wrapped by what is wrong with a database.
var errFormat = errors.New("broken database")

// A backend lists the headers in a database.
type backend func(ctx context.Context, db database) iter.Seq2[[]byte, error]

// A database is an open file, and its journal if it has one.
type database struct {
	io.ReaderAt
	size int64
	log  fs.File // SQLite's write-ahead log, nil for none
}

// backends by the name of the file.
var backends = map[string]backend{
	"rpmdb.sqlite": readSQLite,
	"Packages.db":  readNDB,
	"Packages":     readBerkeley,
}

// folders are where the database may be: where it was for long, where it moved
// (https://fedoraproject.org/wiki/Changes/RelocateRPMToUsr), and where image
// based systems have it.
var folders = []string{"/var/lib/rpm/", "/usr/lib/sysimage/rpm/", "/usr/share/rpm/"}

const walSuffix = "-wal"

func places() map[string]bool {
	out := map[string]bool{}
	for _, folder := range folders {
		for name := range backends {
			out[folder+name] = true
		}
	}
	return out
}

// Readers are the rows of the catalogue's table.
func Readers() []ecosystem.Reader {
	known := places()
	r := ecosystem.Reader{
		Name:   "rpm",
		Wants:  func(p string, _ fs.FileInfo) bool { return known[p] },
		Max:    maxDatabase,
		Beside: map[string]string{},
		Read:   read,
	}
	for _, folder := range folders {
		for _, name := range []string{"rpmdb.sqlite", "Packages.db", "Packages"} {
			r.Places = append(r.Places, folder+name)
		}
		r.Beside[folder+"rpmdb.sqlite"+walSuffix] = folder + "rpmdb.sqlite"
	}
	return []ecosystem.Reader{r}
}

// Ownings are the rows of the catalogue's table of owners.
func Ownings() []ecosystem.Owning {
	known := places()
	return []ecosystem.Owning{{
		Name:  "rpm's lists of files",
		Wants: func(p string) bool { return known[p] },
		Read:  readOwners,
	}}
}

func read(ctx context.Context, t ecosystem.Tree, p string, _ fs.FileInfo) ([]sbom.Package, error) {
	var out []sbom.Package
	required := map[string]bool{} // files that packages require by path
	err := headers(ctx, t, p, func(h header) error {
		pkg, err := describe(h, t.System())
		if err != nil || pkg == nil {
			return err
		}
		out = append(out, *pkg)
		for _, alternatives := range pkg.Requires {
			if name := alternatives[0]; strings.HasPrefix(name, "/") {
				required[name] = true
			}
		}
		return nil
	})
	if len(required) > 0 && err == nil {
		err = provideFiles(ctx, t, p, out, required)
	}
	return out, err
}

// provideFiles adds the files that others require to what packages provide. In
// RPM every file of a package is something that it provides.
func provideFiles(ctx context.Context, t ecosystem.Tree, p string, packages []sbom.Package, required map[string]bool) error {
	next := 0
	return headers(ctx, t, p, func(h header) error {
		if pkg, err := describe(h, t.System()); err != nil || pkg == nil {
			return err
		}
		if next == len(packages) {
			return fmt.Errorf("%w: it changed while it was read", errFormat)
		}
		h.files(func(p string) {
			if required[p] {
				packages[next].Provides = append(packages[next].Provides, p)
			}
		})
		next++
		return nil
	})
}

func readOwners(ctx context.Context, t ecosystem.Tree, databases []string, own func(p, key string)) error {
	for _, p := range databases {
		if err := headers(ctx, t, p, func(h header) error {
			key := sbom.Package{Type: "rpm", Name: h.text(tagName), Arch: h.text(tagArch)}.Key()
			h.files(func(p string) { own(p, key) })
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// headers calls visit for each package in the database, until one fails.
func headers(ctx context.Context, t ecosystem.Tree, p string, visit func(header) error) error {
	f, err := t.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at, ok := f.(io.ReaderAt)
	if !ok {
		return errors.New("the file has no random access")
	}
	db := database{ReaderAt: at, size: info.Size()}
	if log, err := t.Open(p + walSuffix); err == nil {
		defer log.Close()
		db.log = log
	}
	for blob, err := range backends[path.Base(p)](ctx, db) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := parseHeader(blob)
		if err == nil {
			err = visit(h)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// describe returns nil for what is no software: RPM keeps the keys that it
// trusts as packages.
func describe(h header, system *sbom.System) (*sbom.Package, error) {
	name, version, release := h.text(tagName), h.text(tagVersion), h.text(tagRelease)
	if name == "" || version == "" {
		return nil, fmt.Errorf("%w: a package without a name or version", errFormat)
	}
	if name == "gpg-pubkey" {
		return nil, nil
	}
	p := &sbom.Package{
		Type: "rpm", Name: name, Version: version, Arch: h.text(tagArch),
		Homepage: h.text(tagURL), Summary: h.text(tagSummary),
		Provides: h.list(tagProvideName),
	}
	if release != "" {
		p.Version += "-" + release
	}
	plain := p.Version
	qualifiers := map[string]string{}
	if epoch := h.ints(tagEpoch); len(epoch) == 1 {
		qualifiers["epoch"] = strconv.FormatUint(uint64(epoch[0]), 10)
		if epoch[0] > 0 {
			p.Version = qualifiers["epoch"] + ":" + p.Version
		}
	}
	p.Supplier = actor.Organization(h.text(tagVendor))
	p.Originator = actor.Parse(h.text(tagPackager))
	p.License, p.Licenses = license.Normalise(h.text(tagLicense))
	p.Requires = requires(h.list(tagRequireName))
	source := h.text(tagSourceRPM)
	qualifiers["upstream"] = source
	p.PURL = ecosystem.SystemPURL(system, p, plain, qualifiers)
	p.Source = sourceOf(source, name)
	return p, nil
}

// sourceOf takes name-version-release.src.rpm apart.
func sourceOf(file, name string) *sbom.Source {
	stem, ok := strings.CutSuffix(file, ".rpm")
	if !ok {
		return nil
	}
	stem = strings.TrimSuffix(strings.TrimSuffix(stem, ".src"), ".nosrc")
	release := strings.LastIndexByte(stem, '-')
	version := strings.LastIndexByte(stem[:max(release, 0)], '-')
	if version < 1 {
		return nil
	}
	s := &sbom.Source{Name: stem[:version], Version: stem[version+1:]}
	if s.Name == name {
		return nil
	}
	return s
}

// requires leaves out what RPM itself has to be able to do, conditions
// ("(a if b)"), and what is there several times for several versions.
func requires(names []string) [][]string {
	var out [][]string
	seen := map[string]bool{}
	for _, name := range names {
		name = cmp.Or(strings.TrimSpace(name), "(")
		if strings.HasPrefix(name, "rpmlib(") || strings.HasPrefix(name, "(") || seen[name] {
			continue
		}
		seen[name] = true
		out = append(out, []string{name})
	}
	return out
}
