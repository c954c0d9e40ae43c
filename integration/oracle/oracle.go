// SPDX-License-Identifier: Apache-2.0

// Package oracle says what others find in a root filesystem: the package
// managers whose packages are in it, and syft. The catalogue is held against
// them, in integration/catalog and by hack/bench sbom.
//
// It shares no code with the catalogue, or both would make the same mistake.
// What it runs inside the root sees it read-only.
package oracle

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// A Package is what all of them say of one.
type Package struct {
	Type    string // of a package URL: deb, npm
	Name    string // with its namespace, as the ecosystem writes it
	Version string // as the ecosystem writes it; of rpm with the epoch if it has one
	Arch    string // of deb, rpm and apk
}

func (p Package) String() string {
	s := p.Type + " " + p.Name + " " + p.Version
	if p.Arch != "" {
		s += " " + p.Arch
	}
	return s
}

// AsURL is the package as FromPURL has it, whose names are normalised, some more
// than their ecosystems have them
// (https://github.com/package-url/purl-spec/tree/main/types).
func (p Package) AsURL() Package {
	switch p.Type {
	case "golang":
		p.Name = strings.ToLower(p.Name)
	case "pypi":
		p.Name = normalised(p.Name)
	}
	return p
}

// AsURLs are all of them AsURL.
func AsURLs(list []Package) []Package {
	out := make([]Package, len(list))
	for i, p := range list {
		out[i] = p.AsURL()
	}
	return out
}

func compare(a, b Package) int {
	return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name),
		strings.Compare(a.Version, b.Version), strings.Compare(a.Arch, b.Arch))
}

// unique sorts, and names each package once however often it is installed.
func unique(list []Package) []Package {
	slices.SortFunc(list, compare)
	return slices.Compact(list)
}

// Missing is what of want is not in got.
func Missing(want, got []Package) []Package {
	have := make(map[Package]bool, len(got))
	for _, p := range got {
		have[p] = true
	}
	var out []Package
	for _, p := range want {
		if !have[p] {
			out = append(out, p)
		}
	}
	return out
}

// A Manager lists the packages of one ecosystem.
type Manager struct {
	Type string // of its packages
	Name string // what is asked
	list func(ctx context.Context, root string) ([]Package, error)
}

// Managers is the table of them.
var Managers = []Manager{
	{"deb", "dpkg-query", dpkgQuery},
	{"rpm", "rpm -qa", rpmQuery},
	{"apk", "apk's database", apkDatabase},
	{"pypi", "importlib.metadata", importlibMetadata},
	{"npm", "npm ls, node", npmLs},
	{"golang", "go version -m", goVersion},
	{"maven", "pom.properties", pomProperties},
	{"cargo", "cargo auditable's section", auditable},
}

// List asks for the packages in a root, sorted. None is no error: the root may
// have nothing of this ecosystem.
func (m Manager) List(ctx context.Context, root string) ([]Package, error) {
	list, err := m.list(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("ask %s for the packages in %s: %w", m.Name, root, err)
	}
	return unique(list), nil
}

// output runs a program and returns what it printed.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", name, err, log.String())
	}
	return out.String(), nil
}

// inside runs a program of the root in it: read-only, but for /tmp.
func inside(ctx context.Context, root, folder, name string, args ...string) (string, error) {
	const script = `
		root=$1 folder=$2
		shift 2
		mount --bind "$root" "$root"
		mount -o remount,ro,bind "$root"
		mount -t tmpfs tmpfs "$root/tmp"
		mount -t proc proc "$root/proc"
		exec chroot "$root" /bin/sh -c 'cd "$1"; shift; exec "$@"' sh "$folder" "$@"`
	return output(ctx, "unshare", append([]string{"--mount", "--propagation", "private",
		"env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LC_ALL=C.UTF-8",
		"sh", "-euc", script, "sh", root, folder, name}, args...)...)
}

// table reads lines of tab-separated fields: name, version, architecture.
func table(kind, out string) []Package {
	var list []Package
	for line := range strings.Lines(out) {
		fields := append(strings.Split(strings.TrimSuffix(line, "\n"), "\t"), "", "")
		list = append(list, Package{Type: kind, Name: fields[0], Version: fields[1], Arch: fields[2]})
	}
	return list
}
