// SPDX-License-Identifier: Apache-2.0

//go:build integration

package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/oracle"
)

// atLeast says how many packages of each ecosystem a root has, so that an
// oracle that finds nothing is noticed.
var atLeast = map[string]map[string]int{
	"debian-minimal": {"deb": 80},
	"debian-full":    {"deb": 550, "pypi": 25, "npm": 1500, "golang": 120, "maven": 70, "cargo": 8},
	"distroless":     {"deb": 6},
	"rpm":            {"rpm": 9},
	"apk":            {"apk": 12},
}

// Every package that a package manager has in its list is in ours, under the
// same name and in the same version.
func TestNothingMissesThatManagersList(t *testing.T) {
	for name, kinds := range atLeast {
		for _, manager := range oracle.Managers {
			least, has := kinds[manager.Type]
			if !has {
				continue
			}
			t.Run(name+"/"+manager.Type, func(t *testing.T) {
				want, err := manager.List(t.Context(), dirs[name])
				require.NoError(t, err)
				require.GreaterOrEqual(t, len(want), least)
				require.Empty(t, oracle.Missing(want, look(t, name).packages()))
			})
		}
	}
}

// A distribution's package is in the database or it is not there: none may be
// in our list that is not in the manager's.
func TestNoMoreThanManagersList(t *testing.T) {
	exact := map[string]bool{"deb": true, "rpm": true, "apk": true, "golang": true, "cargo": true}
	for name := range atLeast {
		for _, manager := range oracle.Managers {
			if !exact[manager.Type] {
				continue
			}
			t.Run(name+"/"+manager.Type, func(t *testing.T) {
				want, err := manager.List(t.Context(), dirs[name])
				require.NoError(t, err)
				var ours []oracle.Package
				for _, p := range look(t, name).packages() {
					if p.Type == manager.Type {
						ours = append(ours, p)
					}
				}
				require.Empty(t, oracle.Missing(ours, want))
			})
		}
	}
}

func TestEverythingIsReadable(t *testing.T) {
	for name := range atLeast {
		require.Empty(t, look(t, name).inventory.Unread, name)
	}
}

// Packages of one ecosystem inside a package of another have it as their owner.
func TestOwners(t *testing.T) {
	for _, c := range []struct{ root, path, owner string }{
		{"debian-full", "/usr/lib/python3/dist-packages/Flask-2.2.2.egg-info/PKG-INFO", "deb/python3-flask:all"},
		{"debian-full", "/usr/share/nodejs/semver/package.json", "deb/node-semver:all"},
		{"debian-full", "/usr/share/java/guava.jar", "deb/libguava-java:all"},
		{"debian-full", "/opt/app/node_modules/express/package.json", ""},
		{"debian-full", "/usr/local/bin/registry", ""},
		{"rpm", "/usr/lib/node_modules/guestbook/package.json", "rpm/nodejs-guestbook:noarch"},
		{"rpm", "/usr/lib/python3.9/site-packages/guestbook-3.0.1.dist-info/METADATA", "rpm/python3-guestbook:noarch"},
		{"apk", "/usr/lib/node_modules/guestbook/package.json", "apk/nodejs-guestbook:x86_64"},
	} {
		found := false
		for _, f := range look(t, c.root).report.Findings {
			if f.Path == c.path {
				found = true
				require.Equal(t, c.owner, f.Owner, c.path)
			}
		}
		require.True(t, found, "nothing was found at %s", c.path)
	}
}

var development = map[string]bool{"eslint": true, "jest": true, "webpack": true}

// What npm says that a package of the application uses, ours says as well.
func TestNeedsOfNpm(t *testing.T) {
	want, err := oracle.NpmNeeds(t.Context(), dirs["debian-full"], "/opt/app")
	require.NoError(t, err)
	require.Greater(t, len(want), 800)

	o := look(t, "debian-full")
	list, ours := o.packages(), map[oracle.Need]bool{}
	for i, item := range o.inventory.Items {
		for _, j := range item.Needs {
			ours[oracle.Need{Who: list[i], What: list[j]}] = true
		}
	}
	for _, need := range want {
		// What only its own tests need is none of its parts: devDependencies.
		if need.Who.Name == "guestbook-web" && development[need.What.Name] {
			continue
		}
		if !ours[need] {
			t.Errorf("%s needs %s", need.Who, need.What)
		}
	}
}

// dpkg names the same owner for each file that told of a package.
func TestOwnersOfDpkg(t *testing.T) {
	o := look(t, "debian-full")
	var paths []string
	for _, f := range o.report.Findings {
		if len(f.Packages) > 0 && f.Packages[0].Type != "deb" {
			paths = append(paths, f.Path)
		}
	}
	require.Greater(t, len(paths), 1500)
	want, err := oracle.DpkgOwners(t.Context(), dirs["debian-full"], paths)
	require.NoError(t, err)
	require.Greater(t, len(want), 1000)
	for _, f := range o.report.Findings {
		if len(f.Packages) > 0 && f.Packages[0].Type != "deb" {
			require.Equal(t, want[f.Path], f.Owner, f.Path)
		}
	}
}
