// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package catalog holds the catalogue against package managers and against
// syft, on root filesystems with real packages (hack/roots).
package catalog

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/integration/oracle"
	"github.com/plombproject/plomb/provenance/sbom"
)

// dirs are the root filesystems by name.
var dirs = map[string]string{}

// syft is the program that hack/tools --oracles builds.
var syft = filepath.Join("..", "..", ".build", "tools", "syft")

func TestMain(m *testing.M) {
	if _, err := os.Stat(syft); err != nil {
		fmt.Fprintln(os.Stderr, "no syft: run hack/tools --oracles:", err)
		os.Exit(1)
	}
	if err := makeRoots(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func makeRoots() error {
	cmd := exec.Command(filepath.Join("..", "..", "hack", "roots"), "all")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("hack/roots all: %w", err)
	}
	for dir := range strings.FieldsSeq(string(out)) {
		dirs[filepath.Base(dir)] = dir
	}
	return nil
}

// An outcome is what the catalogue makes of a tree.
type outcome struct {
	report    sbom.Report
	inventory *sbom.Inventory
}

// packages are those of the inventory as the oracle's lists have them.
func (o outcome) packages() []oracle.Package {
	var list []oracle.Package
	for _, item := range o.inventory.Items {
		p := oracle.Package{Type: item.Type, Name: item.Name, Version: item.Version}
		switch item.Type {
		case "deb", "rpm", "apk":
			p.Arch = item.Arch
		}
		list = append(list, p)
	}
	return list
}

var (
	looked   = map[string]outcome{}
	lookedMu sync.Mutex
)

// look catalogues a root filesystem, once for all tests.
func look(t *testing.T, name string) outcome {
	t.Helper()
	lookedMu.Lock()
	defer lookedMu.Unlock()
	if o, done := looked[name]; done {
		return o
	}
	require.Contains(t, dirs, name)
	looked[name] = whole(t, dirs[name])
	return looked[name]
}

func whole(t *testing.T, dir string) outcome {
	t.Helper()
	result, err := catalog.Root(t.Context(), dir, catalog.Packages)
	require.NoError(t, err)
	return outcome{result.Report, sbom.Merge([]sbom.Layer{{Report: result.Report, Base: true}})}
}

// text is for comparisons to the byte, with differences that can be read.
func text(t *testing.T, v any) string {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	return string(data)
}
