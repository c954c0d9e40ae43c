// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// importlibMetadata asks the root's own Python about every folder that has
// distributions.
func importlibMetadata(ctx context.Context, root string) ([]Package, error) {
	const script = `
import importlib.metadata, os
for top, dirs, files in os.walk("/"):
    dirs[:] = [d for d in dirs if os.path.join(top, d) not in ("/proc", "/sys", "/dev")]
    if any(n.endswith((".dist-info", ".egg-info")) for n in dirs + files):
        for d in importlib.metadata.distributions(path=[top]):
            print(d.metadata["Name"], d.version, sep="\t")
`
	const python = "/usr/bin/python3"
	if !has(root, python) {
		return nil, nil
	}
	out, err := inside(ctx, root, "/", python, "-c", script)
	if err != nil {
		return nil, err
	}
	return table("pypi", out), nil
}

var separators = regexp.MustCompile(`[-_.]+`)

// normalised is a name of Python as indexes compare it
// (https://packaging.python.org/en/latest/specifications/name-normalization/).
func normalised(name string) string {
	return strings.ToLower(separators.ReplaceAllString(name, "-"))
}

// npmLs asks the root's own npm about each application that has node_modules,
// and node about the packages that the system's other packages bring.
func npmLs(ctx context.Context, root string) ([]Package, error) {
	const npm = "/usr/bin/npm"
	if !has(root, npm) {
		return nil, nil
	}
	var list []Package
	for _, app := range []string{"/opt/app"} {
		out, err := inside(ctx, root, app, npm, "ls", "--all", "--parseable", "--long",
			"--logs-max=0", "--cache=/tmp", "--no-update-notifier")
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out) {
			// path:name@version[:more]; the path has no colon here.
			fields := strings.Split(strings.TrimSpace(line), ":")
			at := strings.LastIndex(fields[1], "@")
			list = append(list, Package{Type: "npm", Name: fields[1][:at], Version: fields[1][at+1:]})
		}
	}
	system, err := nodePath(ctx, root)
	return append(list, system...), err
}

// nodePath lists what node finds in /usr/share/nodejs, where Debian has the
// packages of npm, and in the node_modules inside them.
func nodePath(ctx context.Context, root string) ([]Package, error) {
	const script = `
const fs = require("fs"), path = require("path");
const names = dir => fs.existsSync(dir) ? fs.readdirSync(dir) : [];
function look(modules) {
  for (const name of names(modules)) {
    const dir = path.join(modules, name);
    if (fs.lstatSync(dir).isSymbolicLink() || !fs.statSync(dir).isDirectory()) continue;
    if (name.startsWith("@")) { look(dir); continue; }
    const file = path.join(dir, "package.json");
    if (fs.existsSync(file) && !fs.lstatSync(file).isSymbolicLink()) {
      const p = JSON.parse(fs.readFileSync(file));
      if (p.name && p.version) console.log(p.name + "\t" + p.version);
    }
    look(path.join(dir, "node_modules"));
  }
}
look("/usr/share/nodejs");
`
	out, err := inside(ctx, root, "/", "/usr/bin/node", "-e", script)
	return table("npm", out), err
}

// goVersion asks the go command about every program in the root: the modules
// linked into it, and the standard library.
func goVersion(ctx context.Context, root string) ([]Package, error) {
	out, err := output(ctx, "go", "version", "-m", root)
	if err != nil {
		return nil, err
	}
	return goModules(out), nil
}

func goModules(out string) []Package {
	var list []Package
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "\t") {
			_, version, _ := strings.Cut(line, ": ")
			list = append(list, Package{Type: "golang", Name: "stdlib", Version: version})
			continue
		}
		fields := append(strings.Split(strings.TrimPrefix(line, "\t"), "\t"), "", "")
		// What was built from a checkout has no version.
		p := Package{Type: "golang", Name: fields[1], Version: strings.TrimPrefix(fields[2], "(devel)")}
		switch fields[0] {
		case "mod", "dep":
			list = append(list, p)
		case "=>": // what was linked instead of the one before
			list[len(list)-1] = p
		}
	}
	return list
}

func has(root, path string) bool {
	_, err := os.Lstat(filepath.Join(root, path))
	return err == nil
}
