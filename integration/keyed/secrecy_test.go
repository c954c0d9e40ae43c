// SPDX-License-Identifier: Apache-2.0

//go:build integration

package keyed

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
)

// The key is in no image, attestation, log, command line or environment, in no
// file that the daemon keeps, and not in the memory of the frontend, which talks
// to the network.
func TestKeyStaysOut(t *testing.T) {
	pemFile := filepath.Join(t.TempDir(), "key.pem")
	openssl(t, pemFile, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
	bare, err := os.ReadFile(pemFile)
	require.NoError(t, err)
	sealed, err := os.ReadFile(keyFile(mine))
	require.NoError(t, err)
	for name, row := range map[string]struct {
		key  []byte
		args []string
	}{
		"bare":      {bare, []string{"--secret", "id=plomb-key,src=" + harness.Secret(t, string(bare))}},
		"encrypted": {sealed, cosigned(mine)},
	} {
		t.Run(name, func(t *testing.T) {
			needles := append(pieces(t, row.key), []byte(password))
			dest := filepath.Join(t.TempDir(), "image.tar")
			dir := folder(t, "FROM ${BASE}\nRUN "+step+"\nCOPY greeting /\n")
			args := slices.Concat([]string{"build", "--progress=plain", "--output", "type=oci,dest=" + dest + ",compression=uncompressed,force-compression=true", "--attest", "type=provenance,mode=max"},
				row.args, both.settings(), []string{dir})
			p, found := watched(t, args, needles)
			for range 5 { // a busy machine looks too rarely
				if len(found.helpers) > 0 && found.scans > 0 || len(found.leaks) > 0 {
					break
				}
				p, found = watched(t, append(args, "--no-cache"), needles)
			}
			t.Logf("saw helpers %q, and the frontend's memory %d times", found.helpers, found.scans)
			require.Empty(t, found.leaks)
			require.NotEmpty(t, found.helpers, "helpers were seen, so that a leak would have been")
			require.NotZero(t, found.scans, "and so was the frontend's memory")

			require.False(t, holds([]byte(p.All), needles), "the log")
			data, err := os.ReadFile(dest)
			require.NoError(t, err)
			require.True(t, bytes.Contains(data, []byte("https://plombproject.github.io/embedded-bundle/v1")), "it is signed")
			require.False(t, holds(data, needles), "the image")
			require.False(t, holds([]byte(on.LogTail(stand.Buildkitd, 1<<20)), needles), "the daemon's log")
			require.NoError(t, filepath.WalkDir(filepath.Join(on.Dir, "buildkit"), func(path string, d os.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return nil //nolint:nilerr // the daemon goes on working there
				}
				data, err := os.ReadFile(path)
				require.False(t, err == nil && holds(data, needles), path)
				return nil
			}))
		})
	}
}

// watched builds, and looks at every process meanwhile.
func watched(t *testing.T, args []string, needles [][]byte) (harness.Printout, sightings) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := watch(ctx, needles)
	p := harness.Command{On: on, Args: args}.Must(t)
	cancel()
	return p, <-seen
}

// pieces are what a key would be known by: the lines of its PEM, and its secret
// numbers as DER and as math/big have them.
func pieces(t *testing.T, key []byte) (list [][]byte) {
	t.Helper()
	for line := range bytes.Lines(key) {
		if line = bytes.TrimSpace(line); len(line) > 20 && !bytes.HasPrefix(line, []byte("--")) {
			list = append(list, line)
		}
	}
	block, _ := pem.Decode(key)
	der := block.Bytes
	if strings.HasPrefix(block.Type, "ENCRYPTED") {
		var err error
		der, err = encrypted.Decrypt(der, []byte(password))
		require.NoError(t, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	require.NoError(t, err)
	var secrets []*big.Int
	switch k := parsed.(type) {
	case *rsa.PrivateKey:
		secrets = append(k.Primes, k.D)
	case *ecdsa.PrivateKey:
		raw, err := k.Bytes()
		require.NoError(t, err)
		secrets = append(secrets, new(big.Int).SetBytes(raw))
	}
	require.NotEmpty(t, secrets)
	for _, number := range secrets {
		text := number.Bytes()
		backwards := slices.Clone(text)
		slices.Reverse(backwards)
		list = append(list, text[:24], backwards[len(backwards)-24:])
	}
	return list
}

func holds(data []byte, needles [][]byte) bool {
	return slices.ContainsFunc(needles, func(n []byte) bool { return bytes.Contains(data, n) })
}
