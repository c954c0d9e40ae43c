// SPDX-License-Identifier: Apache-2.0

package canary_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plombproject/plomb/plugin/canary"
)

// FuzzRead: whatever the file says, what is believed keeps to loopback and to
// its time.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"prefix":"127.0.0.1:41000/plomb-canary/","key":"","since":"2026-01-02T03:04:05Z","until":"2026-01-02T03:05:05Z"}`))
	f.Add([]byte(`{"prefix":"127.0.0.1:41000/plomb-canary/**"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "canary.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := canary.Read(path)
		if err != nil {
			return
		}
		if !strings.HasPrefix(c.Prefix, canary.Host+":") || c.Until.Sub(c.Since) > canary.MaxAge {
			t.Fatalf("believed %+v", c)
		}
	})
}

// FuzzName: only names of loopback are about canaries.
func FuzzName(f *testing.F) {
	f.Add("127.0.0.1:41000/plomb-canary/x:y")
	f.Add("127.0.0.1:41000@evil.example/plomb-canary/x")
	f.Fuzz(func(t *testing.T, name string) {
		path := filepath.Join(t.TempDir(), "canary.json")
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		_, _, err := canary.Policy(path, name, now)
		if err != nil && !strings.HasPrefix(name, canary.Host+":") {
			t.Fatalf("%q made the file count", name)
		}
	})
}
