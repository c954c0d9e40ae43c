// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// dpkgQuery asks the machine's own dpkg about the root's database. A package
// that was removed and left its configuration is not installed.
func dpkgQuery(ctx context.Context, root string) ([]Package, error) {
	admin := filepath.Join(root, "var/lib/dpkg")
	if _, err := os.Stat(admin); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if _, err := os.Stat(filepath.Join(admin, "status.d")); err == nil {
		made, err := statusOf(admin)
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(made)
		admin = made
	}
	out, err := output(ctx, "dpkg-query", "--admindir", admin, "-W",
		"-f", `${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n`)
	if err != nil {
		return nil, err
	}
	var installed strings.Builder
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "installed\t"); ok {
			installed.WriteString(rest)
		}
	}
	return table("deb", installed.String()), nil
}

// statusOf makes dpkg's database of the folder that distroless images have
// instead, where each package is a file without its status.
func statusOf(admin string) (dir string, err error) {
	var status strings.Builder
	entries, err := os.ReadDir(filepath.Join(admin, "status.d"))
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".md5sums") {
			continue
		}
		stanza, err := os.ReadFile(filepath.Join(admin, "status.d", e.Name()))
		if err != nil {
			return "", err
		}
		status.WriteString("Status: install ok installed\n" + strings.TrimSpace(string(stanza)) + "\n\n")
	}
	if dir, err = os.MkdirTemp("", "plomb-oracle-"); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "status"), []byte(status.String()), 0o644)
}

// rpmQuery asks the machine's own rpm, about a copy, because it writes to what
// it opens.
func rpmQuery(ctx context.Context, root string) ([]Package, error) {
	database := filepath.Join(root, "var/lib/rpm")
	if _, err := os.Stat(database); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "plomb-oracle-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(filepath.Join(dir, "rpm"), os.DirFS(database)); err != nil {
		return nil, err
	}
	out, err := output(ctx, "rpm", "--dbpath", filepath.Join(dir, "rpm"), "-qa",
		"--qf", `%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\t%{ARCH}\n`)
	if err != nil {
		return nil, err
	}
	var list []Package
	for _, p := range table("rpm", out) {
		if p.Name != "gpg-pubkey" { // a key that was imported, and no package
			list = append(list, p)
		}
	}
	return list, nil
}

// apkDatabase reads lib/apk/db/installed (apk-installed(5)): P is the name, V
// the version, A the architecture, and an empty line ends a package.
func apkDatabase(_ context.Context, root string) ([]Package, error) {
	data, err := os.ReadFile(filepath.Join(root, "lib/apk/db/installed"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Package
	for stanza := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n\n") {
		p := Package{Type: "apk"}
		for line := range strings.SplitSeq(stanza, "\n") {
			switch field, value, _ := strings.Cut(line, ":"); field {
			case "P":
				p.Name = value
			case "V":
				p.Version = value
			case "A":
				p.Arch = value
			}
		}
		list = append(list, p)
	}
	return list, nil
}

// DpkgOwners asks dpkg which package each path belongs to. An owner is named
// type/name:architecture; what has none is left out.
func DpkgOwners(ctx context.Context, root string, paths []string) (map[string]string, error) {
	admin := filepath.Join(root, "var/lib/dpkg")
	list, err := dpkgQuery(ctx, root)
	if err != nil {
		return nil, err
	}
	arch := map[string]string{} // of packages that have one, as dpkg names those
	for _, p := range list {
		if _, twice := arch[p.Name]; twice {
			arch[p.Name] = ""
		} else {
			arch[p.Name] = p.Arch
		}
	}
	args := append([]string{"-c", `dpkg-query --admindir "$0" -S "$@" 2>/dev/null || test $? = 1`, admin}, paths...)
	out, err := output(ctx, "sh", args...) // fails if one of them has no owner
	if err != nil {
		return nil, err
	}
	owners := map[string]string{}
	for line := range strings.Lines(out) {
		owner, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		name, of, _ := strings.Cut(owner, ":")
		if of == "" {
			of = arch[name]
		}
		owners[path] = "deb/" + name + ":" + of
	}
	return owners, nil
}
