// SPDX-License-Identifier: Apache-2.0

package canary_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/canary"
)

func key(t *testing.T) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func good(t *testing.T) canary.Canary {
	t.Helper()
	return canary.Canary{Prefix: canary.Prefix(41000), Key: key(t), Since: now, Until: now.Add(time.Minute)}
}

const mine = "127.0.0.1:41000/plomb-canary/"

func TestPolicyIsAboutItsOwnNamesOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "canary.json")
	require.NoError(t, canary.Write(path, good(t)))
	set, ok, err := canary.Policy(path, mine+"x:y", now)
	require.NoError(t, err)
	require.True(t, ok)
	applied, err := set.Select(mine+"x:y", digest.FromString("x"))
	require.NoError(t, err)
	require.Len(t, applied, 1)
	require.Equal(t, canary.PolicyName, applied[0].Name)

	for _, name := range []string{
		"127.0.0.1:41001/plomb-canary/x:y",
		"127.0.0.1:41000/plomb-canary2/x:y",
		"127.0.0.1:41000/plomb-canar",
		"127.0.0.1:041000/plomb-canary/x:y",
		"127.0.0.1.example:41000/plomb-canary/x:y",
		"127.0.0.1/plomb-canary/x:y",
		"localhost:41000/plomb-canary/x:y",
		"[::1]:41000/plomb-canary/x:y",
		"registry.example/127.0.0.1:41000/plomb-canary/x:y",
		"registry.example/shop/app:v1", "", "/", mine[:10],
	} {
		_, ok, err := canary.Policy(path, name, now)
		require.NoError(t, err, name)
		require.False(t, ok, name)
	}
}

func TestPolicyHoldsForItsTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "canary.json")
	require.NoError(t, canary.Write(path, good(t)))
	for at, want := range map[time.Duration]bool{-time.Second: false, 0: true, 59 * time.Second: true, time.Minute: false, time.Hour: false} {
		_, ok, err := canary.Policy(path, mine+"x:y", now.Add(at))
		require.NoError(t, err)
		require.Equal(t, want, ok, at)
	}
}

func TestNoCanary(t *testing.T) {
	_, ok, err := canary.Policy(filepath.Join(t.TempDir(), "canary.json"), mine+"x:y", now)
	require.NoError(t, err)
	require.False(t, ok)
}

// A file that others can write would let them say whose key passes.
func TestFileOfOthersIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"group may write": func(t *testing.T, path string) { require.NoError(t, os.Chmod(path, 0o620)) },
		"all may read":    func(t *testing.T, path string) { require.NoError(t, os.Chmod(path, 0o644)) },
		"a link": func(t *testing.T, path string) {
			require.NoError(t, os.Rename(path, path+".real"))
			require.NoError(t, os.Symlink(path+".real", path))
		},
		"not JSON": func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, []byte("{"), 0o600)) },
		"a folder": func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "canary.json")
			require.NoError(t, canary.Write(path, good(t)))
			spoil(t, path)
			_, ok, err := canary.Policy(path, mine+"x:y", now)
			require.ErrorIs(t, err, canary.ErrCanary)
			require.False(t, ok)
			_, ok, err = canary.Policy(path, "registry.example/shop/app:v1", now)
			require.NoError(t, err, "images of others are not touched by it")
			require.False(t, ok)
		})
	}
}

func TestCheck(t *testing.T) {
	require.NoError(t, good(t).Check())
	for name, spoil := range map[string]func(*canary.Canary){
		"another host":   func(c *canary.Canary) { c.Prefix = "registry.example:443/plomb-canary/" },
		"no port":        func(c *canary.Canary) { c.Prefix = "127.0.0.1/plomb-canary/" },
		"the whole host": func(c *canary.Canary) { c.Prefix = "127.0.0.1:41000/" },
		"a pattern":      func(c *canary.Canary) { c.Prefix = "127.0.0.1:*/plomb-canary/" },
		"deeper":         func(c *canary.Canary) { c.Prefix += "a/plomb-canary/" },
		"too long":       func(c *canary.Canary) { c.Until = c.Since.Add(canary.MaxAge + 1) },
		"backwards":      func(c *canary.Canary) { c.Until = c.Since },
		"no key":         func(c *canary.Canary) { c.Key = "" },
		"no real key":    func(c *canary.Canary) { c.Key = "secret" },
	} {
		c := good(t)
		spoil(&c)
		require.ErrorIs(t, c.Check(), canary.ErrCanary, name)
		require.Error(t, canary.Write(filepath.Join(t.TempDir(), "c"), c), name)
	}
}
