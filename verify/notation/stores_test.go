// SPDX-License-Identifier: Apache-2.0

package notation_test

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/notation"
	"github.com/plombproject/plomb/verify/verifytest"
)

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
}

func TestLoadStores(t *testing.T) {
	n, other := verifytest.NewNotary(t), verifytest.NewNotary(t)
	dir := t.TempDir()
	write(t, dir, "ca/acme/1.pem", []byte("# acme\n"+verifytest.PEM(n.CA()...)))
	write(t, dir, "ca/acme/2.crt", other.CA()[0].Raw)
	write(t, dir, "ca/acme/.hidden", []byte("left alone"))
	write(t, dir, "signingAuthority/sa/1.cer", []byte(verifytest.PEM(append(n.CA(), other.CA()...)...)))
	write(t, dir, "tsa/clock/1.pem", []byte(verifytest.PEM(n.TSA()...)))
	got, err := notation.LoadStores(dir, []string{"ca:acme", "signingAuthority:sa", "tsa:clock"})
	require.NoError(t, err)
	both := append(n.CA(), other.CA()...)
	require.Equal(t, notation.Stores{
		CAs: store{"acme": both}, SigningAuthorities: store{"sa": both}, TSAs: store{"clock": n.TSA()},
	}, got)
}

func TestLoadStoresRefuses(t *testing.T) {
	n := verifytest.NewNotary(t)
	chain := chainOf(t, n.Notation(t, target, verifytest.NotationOptions{}))
	good := []byte(verifytest.PEM(n.CA()...))
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")})
	for name, c := range map[string]struct {
		store string
		file  string
		data  []byte
		says  string
	}{
		"no such folder":      {store: "ca:absent", says: "no such file"},
		"unknown type":        {store: "x509:acme", says: "want ca:NAME"},
		"no type":             {store: "acme", says: "want ca:NAME"},
		"a way out":           {store: "ca:../ca/acme", says: "want ca:NAME"},
		"the folder above":    {store: "ca:..", says: "want ca:NAME"},
		"no name":             {store: "ca:", says: "want ca:NAME"},
		"leaf":                {store: "ca:acme", file: "ca/acme/1.pem", data: []byte(verifytest.PEM(chain[0])), says: "neither"},
		"intermediate in tsa": {store: "tsa:acme", file: "tsa/acme/1.pem", data: []byte(verifytest.PEM(chain[1])), says: "root"},
		"other ending":        {store: "ca:acme", file: "ca/acme/1.txt", data: good, says: "does not end in"},
		"folder":              {store: "ca:acme", file: "ca/acme/old.pem/1.pem", data: good, says: "not a regular file"},
		"nothing":             {store: "ca:acme", file: "ca/acme/.keep", says: "holds no certificate"},
		"rubbish":             {store: "ca:acme", file: "ca/acme/1.crt", data: []byte("rubbish"), says: "1.crt"},
		"empty":               {store: "ca:acme", file: "ca/acme/1.crt", says: "no certificate"},
		"private key":         {store: "ca:acme", file: "ca/acme/1.pem", data: append(good, key...), says: "PRIVATE KEY"},
		"cut off":             {store: "ca:acme", file: "ca/acme/1.pem", data: append(good, good[:100]...), says: "broken PEM"},
		"large":               {store: "ca:acme", file: "ca/acme/1.pem", data: make([]byte, 1<<20+1), says: "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.file != "" {
				write(t, dir, c.file, c.data)
			}
			_, err := notation.LoadStores(dir, []string{c.store})
			require.ErrorIs(t, err, notation.ErrStore)
			require.ErrorContains(t, err, c.says)
			if err := notation.CheckStoreNames([]string{"tsa:good", c.store}); c.says == "want ca:NAME" {
				require.ErrorIs(t, err, notation.ErrStore)
				require.ErrorContains(t, err, c.store)
			} else {
				require.NoError(t, err)
			}
		})
	}
	t.Run("symbolic link", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "elsewhere", good)
		write(t, dir, "ca/acme/.keep", nil)
		require.NoError(t, os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "ca/acme/1.pem")))
		_, err := notation.LoadStores(dir, []string{"ca:acme"})
		require.ErrorContains(t, err, "not a regular file")
	})
	t.Run("many files", func(t *testing.T) {
		dir := t.TempDir()
		for i := range 257 {
			write(t, dir, fmt.Sprintf("ca/acme/%d.pem", i), nil)
		}
		_, err := notation.LoadStores(dir, []string{"ca:acme"})
		require.ErrorContains(t, err, "at most 256")
	})
}

func TestLoadCRLs(t *testing.T) {
	n := verifytest.NewNotary(t)
	list := n.CRL(t, time.Now())
	dir := t.TempDir()
	got, err := notation.LoadCRLs(filepath.Join(dir, "absent"))
	require.NoError(t, err)
	require.Empty(t, got)

	write(t, dir, "1.crl", list.Raw)
	write(t, dir, "2.crl", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list.Raw}))
	got, err = notation.LoadCRLs(dir)
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, list.Raw, got[1].Raw)

	write(t, dir, "3.crl", []byte("rubbish"))
	_, err = notation.LoadCRLs(dir)
	require.ErrorIs(t, err, notation.ErrStore)
	require.ErrorContains(t, err, "3.crl")
}
