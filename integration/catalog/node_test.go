// SPDX-License-Identifier: Apache-2.0

//go:build integration

package catalog

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// nodeNeeds has Node.js tell in which folders it looks for what Debian's
// packages depend on, and prints the first that is there: what needs, a tab,
// and what it needs. It leaves out what a link leads to, a few parts of npm and
// of webassemblyjs: an inventory knows packages by where they are.
const nodeNeeds = `
const fs = require('fs'), Module = require('module'), root = '/usr/share/nodejs/'
const read = file => { try { return JSON.parse(fs.readFileSync(file)) } catch { return {} } }
const list = dir => fs.readdirSync(dir, {withFileTypes: true}).filter(e => e.isDirectory()).map(e => dir + e.name)
for (const dir of list(root).flatMap(d => d.startsWith(root + '@') ? list(d + '/') : [d])) {
  const p = read(dir + '/package.json')
  if (!p.name || !p.version) continue
  for (const name in {...p.dependencies, ...p.optionalDependencies, ...p.peerDependencies}) {
    const at = Module._nodeModulePaths(dir).concat(Module.globalPaths).map(d => d + '/' + name + '/package.json')
      .find(file => fs.existsSync(file))
    if (!at || !read(at).version) continue
    const file = at.replace('/usr/share/node_modules/', root)
    if (fs.realpathSync(file) === file) console.log(dir + '/package.json\t' + file)
  }
}`

// What Node.js finds for a package of Debian, that package needs with us.
func TestNeedsOfDebiansNodePackages(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "chroot", dirs["debian-full"], "node", "-e", nodeNeeds).Output()
	require.NoError(t, err)
	want := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Greater(t, len(want), 500)

	inv := look(t, "debian-full").inventory
	at := map[string]int{}
	for i, item := range inv.Items {
		for _, p := range item.Paths {
			if item.Type == "npm" {
				at[p] = i
			}
		}
	}
	missing := 0
	for _, line := range want {
		from, to, _ := strings.Cut(line, "\t")
		who, known := at[from]
		what, there := at[to]
		if known && there && (who == what || slices.Contains(inv.Items[who].Needs, what)) {
			continue
		}
		missing++
		t.Errorf("%s needs %s", from, to)
	}
	t.Logf("of %d needs %d are missing", len(want), missing)
}
