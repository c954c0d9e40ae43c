// SPDX-License-Identifier: Apache-2.0

package containerd_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plombproject/plomb/plugin/containerd"
)

func seed(f *testing.F, names ...string) {
	f.Helper()
	for _, name := range names {
		files, err := filepath.Glob(filepath.Join("testdata", "*", name))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
}

// FuzzAnalyse: whatever containerd prints, the drop-in is TOML and mends what a
// drop-in can.
func FuzzAnalyse(f *testing.F) {
	seed(f, "dump.toml", "after.toml")
	f.Fuzz(func(t *testing.T, dump []byte) {
		if _, err := containerd.Analyse(dump); err != nil {
			return
		}
		text, err := containerd.DropIn(dump, want)
		if err != nil {
			return
		}
		if _, _, err := containerd.Imports(text, "/etc/containerd/conf.d"); err != nil {
			t.Fatalf("the drop-in is no TOML: %v\n%s", err, text)
		}
	})
}

// FuzzMend: nothing is lost of a file, and there is nothing left to mend.
func FuzzMend(f *testing.F) {
	seed(f, "config.toml", "mended.toml")
	f.Fuzz(func(t *testing.T, file []byte) {
		changed, err := containerd.Mend(file)
		if err != nil {
			return
		}
		var left []string
		for line := range strings.Lines(string(changed)) {
			left = append(left, strings.TrimSuffix(strings.TrimPrefix(line, "#plomb: "), "\n"))
		}
		for line := range strings.Lines(string(file)) {
			line = strings.TrimSuffix(strings.TrimPrefix(line, "#plomb: "), "\n")
			if !slices.Contains(left, line) {
				t.Fatalf("line %q is gone", line)
			}
		}
		again, err := containerd.Mend(changed)
		if err != nil || !bytes.Equal(changed, again) {
			t.Fatalf("mended twice: %v\n%s\n---\n%s", err, changed, again)
		}
	})
}

// FuzzImports: the import is there afterwards, and nothing else has changed.
func FuzzImports(f *testing.F) {
	seed(f, "config.toml")
	f.Fuzz(func(t *testing.T, file []byte) {
		changed, ok, err := containerd.Imports(file, "/etc/containerd/conf.d")
		if err != nil {
			return
		}
		if ok && !bytes.Equal(file, changed) {
			t.Fatal("changed although it was there")
		}
		again, ok, err := containerd.Imports(changed, "/etc/containerd/conf.d")
		if err != nil || !ok || !bytes.Equal(changed, again) {
			t.Fatalf("added twice: %v\n%s\n---\n%s", err, changed, again)
		}
	})
}
