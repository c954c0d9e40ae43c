// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// A Need is one package that another one uses.
type Need struct{ Who, What Package }

// NpmNeeds asks the root's own npm which package in an application's folder
// found which other one.
func NpmNeeds(ctx context.Context, root, app string) ([]Need, error) {
	out, err := inside(ctx, root, app, "/usr/bin/npm", "ls", "--all", "--json",
		"--logs-max=0", "--cache=/tmp", "--no-update-notifier")
	if err != nil {
		return nil, err
	}
	return npmNeeds([]byte(out))
}

// npmNode is a package in the answer of npm ls --json.
type npmNode struct {
	Name, Version string // the name is the outermost's alone
	Dependencies  map[string]npmNode
}

func npmNeeds(data []byte) ([]Need, error) {
	var top npmNode
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, err
	}
	found := map[Need]bool{}
	top.needs(top.Name, found)
	return slices.SortedFunc(maps.Keys(found), func(a, b Need) int {
		return strings.Compare(a.Who.String()+" "+a.What.String(), b.Who.String()+" "+b.What.String())
	}), nil
}

func (n npmNode) needs(name string, found map[Need]bool) {
	for child, node := range n.Dependencies {
		if node.Version == "" {
			continue // optional, and not there
		}
		found[Need{Package{Type: "npm", Name: name, Version: n.Version}, Package{Type: "npm", Name: child, Version: node.Version}}] = true
		node.needs(child, found)
	}
}
