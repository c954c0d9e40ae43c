// SPDX-License-Identifier: Apache-2.0

package nodesync_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plombproject/plomb/plugin/nodesync"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/policy"
)

// What is put in place is always a policy that the node can read, with exactly
// the policies that were delivered: no file may hide or change another one.
func FuzzDelivery(f *testing.F) {
	f.Add([]byte(imagePolicy("a", "registry.example/a/**")), []byte(imagePolicy("b", "registry.example/b/**")))
	f.Add([]byte(imagePolicy("a", "x/**")+"..."), []byte("%YAML 1.2\n---\n"+imagePolicy("b", "y/**")))
	f.Add([]byte(imagePolicy("a", "x/**")+"---"), []byte(`{"kind": "ClusterImagePolicy"}`))
	f.Add([]byte("\xef\xbb\xbf"+imagePolicy("a", "x/**")), []byte("# nothing"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		from, host := t.TempDir(), t.TempDir()
		write(t, filepath.Join(from, "policy/a.yaml"), a)
		write(t, filepath.Join(from, "policy/b.yaml"), b)
		root, err := os.OpenRoot(from)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		s := nodesync.Sync{From: root, Settings: settings.Settings{Policy: host}, Now: time.Now}
		if _, err := s.Once(); err != nil {
			return
		}
		want, err := policy.Load(filepath.Join(from, "policy"))
		if err != nil {
			t.Fatalf("a delivery that cannot be read was put in place: %v", err)
		}
		got, err := policy.Load(host)
		if err != nil {
			t.Fatalf("what was put in place cannot be read: %v", err)
		}
		if len(got.Policies()) != len(want.Policies()) {
			t.Fatalf("%d policies were put in place, of %d", len(got.Policies()), len(want.Policies()))
		}
		for i, p := range want.Policies() {
			if got.Policies()[i].Name != p.Name {
				t.Fatalf("policy %q became %q", p.Name, got.Policies()[i].Name)
			}
		}
	})
}

func write(t *testing.T, path string, data []byte) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
