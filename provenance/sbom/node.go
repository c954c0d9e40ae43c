// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"path"
	"regexp"
	"strings"
)

// nodePath are the folders in which Debian's Node.js looks for packages of any
// program, in its order: /usr/lib/TRIPLET/nodejs for those of one architecture,
// and two more. Beside them is a link node_modules, so that packages in one of
// them find each other there first. A package is what its folder is called.
var nodePath = []string{"/usr/lib/*/nodejs", "/usr/share/nodejs", "/usr/lib/nodejs"}

var nodeFolder = regexp.MustCompile(`^/usr/(?:share|lib|lib/([^/]+))/nodejs/`)

// onNodePath tells which of nodePath a package is in or below, with the rest of
// its path; "" if it is in none.
func onNodePath(file string) (folder, rest string) {
	m := nodeFolder.FindStringSubmatch(file)
	if m == nil {
		return "", ""
	}
	folder, rest = strings.TrimSuffix(m[0], "/"), file[len(m[0]):]
	if m[1] != "" {
		folder = nodePath[0]
	}
	return folder, rest
}

// nodeScope is where a name is looked up that is a folder of nodePath.
func nodeScope(kind, name, folder string) scope {
	return scope{kind: kind, name: name, folder: folder}
}

// enterNode notes a package that is in nodePath, by the rest of its path: for
// one below another that is no name that anybody may require.
func (d directory) enterNode(m mention) {
	folder, rest := onNodePath(m.path)
	name, isPackage := strings.CutSuffix(rest, "/package.json")
	if folder == "" || !isPackage {
		return
	}
	s := nodeScope(m.pkg.Type, name, folder)
	if _, there := d.named[s]; !there {
		d.named[s] = m.item
	}
}

// walk looks in node_modules of the package's own folder and of each above it
// (https://nodejs.org/api/modules.html#loading-from-node_modules-folders). What
// is installed under another name than its own provides that name.
func (d directory) walk(m mention, name string) (int, bool) {
	for folder := range above(m.path) {
		if path.Base(folder) == "node_modules" {
			continue
		}
		s := scope{kind: m.pkg.Type, name: name, file: path.Join(folder, "node_modules", name, "package.json")}
		for _, by := range []map[scope]int{d.named, d.provided} {
			if item, there := by[s]; there {
				return item, true
			}
		}
	}
	return d.walkOn(m, name)
}

// walkOn looks in the package's own folder of nodePath and then in all of them
// ("Loading from the global folders"). It does so for those that are there
// themselves: another program may have a Node.js of its own.
func (d directory) walkOn(m mention, name string) (int, bool) {
	own, _ := onNodePath(m.path)
	if own == "" {
		return 0, false
	}
	for _, folder := range append([]string{own}, nodePath...) {
		if item, there := d.named[nodeScope(m.pkg.Type, name, folder)]; there {
			return item, true
		}
	}
	return 0, false
}
