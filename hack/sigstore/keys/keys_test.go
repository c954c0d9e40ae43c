// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/hack/sigstore/keys"
)

func fresh() (keys.Pair, error) {
	_, key, err := ed25519.GenerateKey(nil)
	return keys.Pair{Signer: key}, err
}

func TestPairIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	dir, err := keys.Open(path)
	require.NoError(t, err)
	chain := func() (keys.Pair, error) { return keys.NewChain("test", &keys.Template{}, time.Now()) }
	first, err := dir.Pair("a", chain)
	require.NoError(t, err)
	require.Len(t, first.Chain, 2)
	second, err := dir.Pair("a", chain)
	require.NoError(t, err)
	require.Equal(t, first, second)
	existing, err := dir.Existing("a")
	require.NoError(t, err)
	require.Equal(t, first, existing)

	_, err = dir.Existing("b")
	require.ErrorIs(t, err, os.ErrNotExist)
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary files stay behind")
}

// Of several processes that start at once, all use the key of the first.
func TestRaceHasOneWinner(t *testing.T) {
	dir, err := keys.Open(filepath.Join(t.TempDir(), "keys"))
	require.NoError(t, err)
	const starters = 16
	got := make([]keys.Pair, starters)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i], _ = dir.Pair("a", fresh) })
	}
	wg.Wait()
	for _, pair := range got {
		require.NotNil(t, pair.Signer)
		require.Equal(t, got[0], pair)
	}
}

func TestOpenFolderIsRefused(t *testing.T) {
	path := t.TempDir()
	require.NoError(t, os.Chmod(path, 0o750))
	_, err := keys.Open(path)
	require.ErrorIs(t, err, keys.ErrTooOpen)
}

func TestMalformedKeyIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	dir, err := keys.Open(path)
	require.NoError(t, err)
	for name, data := range map[string]string{
		"empty":   "",
		"text":    "not a key",
		"cert":    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"garbage": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(path, name+".pem"), []byte(data), 0o600))
		_, err := dir.Pair(name, fresh)
		require.ErrorIs(t, err, keys.ErrMalformed, name)
	}
}

func TestSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	dir, err := keys.Open(path)
	require.NoError(t, err)
	for _, offered := range []string{"first", "second"} {
		secret, err := dir.Secret("s", func() (string, error) { return offered, nil })
		require.NoError(t, err)
		require.Equal(t, "first", secret)
	}
	require.NoError(t, os.WriteFile(filepath.Join(path, "s"), nil, 0o600))
	_, err = dir.Secret("s", func() (string, error) { return "third", nil })
	require.ErrorIs(t, err, keys.ErrMalformed)
}
