// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// keys writes a private key and returns its path and the public key.
func keyFile(t *testing.T, algorithm string) (string, crypto.PublicKey) {
	t.Helper()
	var key crypto.Signer
	var err error
	switch algorithm {
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	require.NoError(t, err)
	block := &pem.Block{Type: "PRIVATE KEY"}
	if algorithm == "sec1" {
		block.Type = "EC PRIVATE KEY"
		block.Bytes, err = x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	} else {
		block.Bytes, err = x509.MarshalPKCS8PrivateKey(key)
	}
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "receipts.key")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	return path, key.Public()
}

func TestCheckpointsAreSigned(t *testing.T) {
	for _, algorithm := range []string{"ed25519", "p256", "sec1"} {
		path, public := keyFile(t, algorithm)
		dir := written(t, 16, Options{Key: path, Now: func() time.Time { return noon }})
		r, err := Checker{Keys: []crypto.PublicKey{public}}.Check(dir)
		require.NoError(t, err)
		require.Empty(t, r.Faults)
		require.Equal(t, 5, r.Signed, "with the first receipt, at the end of three files, and at Close")
		require.Equal(t, 5, r.Checkpoints)
		require.Zero(t, r.After)

		r = sound(t, dir) // nobody gave a key
		require.Equal(t, 5, r.Checkpoints)
		require.Zero(t, r.Signed)
	}
}

func TestCheckpointsComeWithReceiptsAndTime(t *testing.T) {
	path, _ := keyFile(t, "ed25519")
	now := noon
	l := open(t, filepath.Join(t.TempDir(), "receipts"), Options{Key: path, Now: func() time.Time { return now }})
	count := func() int { return sound(t, l.dir).Checkpoints }
	fill(t, l, 0, checkpointLines) // one with the first
	require.Equal(t, 1, count())
	fill(t, l, 0, 1)
	require.Equal(t, 2, count(), "a hundred since")
	fill(t, l, 0, 1)
	require.Equal(t, 2, count())
	now = now.Add(checkpointTime)
	fill(t, l, 0, 1)
	require.Equal(t, 3, count(), "a minute since")
	now = now.Add(-time.Hour)
	fill(t, l, 0, 1)
	require.Equal(t, 4, count(), "a clock that was set back does not end it")
	require.NoError(t, l.Close())
	require.Equal(t, 4, count(), "nothing new")
}

func TestCheckpointsShowWhatTheChainCannot(t *testing.T) {
	path, public := keyFile(t, "ed25519")
	_, stranger := keyFile(t, "ed25519")
	whole := func(t *testing.T) string { return written(t, 16, Options{Key: path}) }
	checker := Checker{Keys: []crypto.PublicKey{stranger, public}}

	t.Run("the end is cut", func(t *testing.T) {
		dir := whole(t)
		last := filepath.Join(dir, fileName(4))
		data := read(t, last)
		cut := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
		require.NoError(t, os.Truncate(last, int64(cut)))
		r, err := checker.Check(dir)
		require.NoError(t, err)
		require.Len(t, r.Faults, 1)
		require.Equal(t, CodeCheckpoint, r.Faults[0].Code)
		require.Equal(t, "checkpoints.jsonl:5", r.Faults[0].Where())
		require.Contains(t, r.Faults[0].Reason, "the log was cut or changed")
	})
	t.Run("every file is removed", func(t *testing.T) {
		dir := whole(t)
		for n := range 4 {
			require.NoError(t, os.Remove(filepath.Join(dir, fileName(n+1))))
		}
		r, err := checker.Check(dir)
		require.NoError(t, err)
		require.NotEmpty(t, r.Faults)
	})
	t.Run("the chain is computed anew", func(t *testing.T) {
		dir, forged := whole(t), written(t, 16, Options{})
		// Same places, other content: the last receipt says that it admitted.
		for n := range 4 {
			name := fileName(n + 1)
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), read(t, filepath.Join(forged, name)), 0o600))
		}
		sound(t, dir) // the same receipts
		replace(t, filepath.Join(dir, fileName(4)), []byte("app-15"), []byte("app-99"))
		r, err := checker.Check(dir)
		require.NoError(t, err)
		require.Equal(t, CodeCheckpoint, r.Faults[0].Code)
		require.Contains(t, r.Faults[0].Reason, "it says that receipts-000004.jsonl")
	})
	t.Run("checkpoints are removed as well", func(t *testing.T) {
		dir := whole(t)
		kept := filepath.Join(t.TempDir(), "kept.jsonl")
		require.NoError(t, os.Rename(filepath.Join(dir, checkpointName), kept))
		require.NoError(t, os.Remove(filepath.Join(dir, fileName(4))))
		sound(t, dir)
		against := checker
		against.Against = kept
		r, err := against.Check(dir)
		require.NoError(t, err)
		require.Len(t, r.Faults, 1)
		require.Equal(t, kept+":5", r.Faults[0].Where())
	})
	t.Run("a checkpoint is forged", func(t *testing.T) {
		dir := whole(t)
		other, _ := keyFile(t, "p256")
		l := open(t, dir, Options{Key: other})
		fill(t, l, 16, 17)
		r, err := checker.Check(dir)
		require.NoError(t, err)
		require.Contains(t, r.Faults[0].Reason, "signed by another key")
		require.Equal(t, 1, r.After)
	})
	t.Run("a checkpoint is edited", func(t *testing.T) {
		dir := whole(t)
		replace(t, filepath.Join(dir, checkpointName), []byte(`"time":"20`), []byte(`"time":"19`))
		r, err := checker.Check(dir)
		require.NoError(t, err)
		require.Contains(t, r.Faults[0].Reason, "the signature is not over this text")
	})
	t.Run("a checkpoint is broken", func(t *testing.T) {
		dir := whole(t)
		replace(t, filepath.Join(dir, checkpointName), []byte(`"offset"`), []byte(`"0ffset"`))
		r, err := checker.Check(dir)
		require.NoError(t, err)
		require.Equal(t, "checkpoints.jsonl:1", r.Faults[0].Where())
	})
}

func TestTornCheckpointIsReplaced(t *testing.T) {
	path, _ := keyFile(t, "ed25519")
	dir := written(t, 1, Options{Key: path})
	checkpoints := filepath.Join(dir, checkpointName)
	require.NoError(t, os.Truncate(checkpoints, int64(len(read(t, checkpoints)))-9))
	require.Len(t, sound(t, dir).Notes, 1)
	l := open(t, dir, Options{Key: path})
	fill(t, l, 1, 2)
	r := sound(t, dir)
	require.Empty(t, r.Notes)
	require.Equal(t, 1, r.Checkpoints)
}

// A checkpoint that cannot be written is told, and refuses nothing.
func TestReceiptsDoNotWaitForCheckpoints(t *testing.T) {
	path, _ := keyFile(t, "ed25519")
	var warnings []error
	l := open(t, filepath.Join(t.TempDir(), "receipts"), Options{Key: path, Warn: func(err error) { warnings = append(warnings, err) }})
	write := l.write
	l.write = func(f *os.File, data []byte, at int64) (int, error) {
		if filepath.Base(f.Name()) == checkpointName {
			n, _ := write(f, data[:5], at)
			return n, syscall.ENOSPC
		}
		return write(f, data, at)
	}
	fill(t, l, 0, 1)
	require.Len(t, warnings, 1)
	require.ErrorIs(t, warnings[0], syscall.ENOSPC)
	require.Zero(t, sound(t, l.dir).Checkpoints)
	l.write = write
	fill(t, l, 1, 2)
	require.Equal(t, 1, sound(t, l.dir).Checkpoints)
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	good, _ := keyFile(t, "ed25519")
	loose, _ := keyFile(t, "ed25519")
	require.NoError(t, os.Chmod(loose, 0o644))
	unsupported, _ := keyFile(t, "rsa")
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("hunter2"), 0o600))
	broken := filepath.Join(t.TempDir(), "broken")
	require.NoError(t, os.WriteFile(broken, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("hunter2")}), 0o600))
	for path, reason := range map[string]string{
		loose: "chmod 600 it", unsupported: "want ed25519 or ECDSA", text: "is not PEM", broken: "is no private key",
		filepath.Join(t.TempDir(), "absent"): "no such file",
	} {
		_, err := Open(filepath.Join(t.TempDir(), "receipts"), Options{Key: path})
		require.ErrorIs(t, err, ErrLog)
		require.ErrorContains(t, err, reason)
		require.False(t, strings.Contains(err.Error(), "hunter2"))
	}
	_, err := Open(filepath.Join(t.TempDir(), "receipts"), Options{Key: good})
	require.NoError(t, err)

	for path, reason := range map[string]string{text: "is not PEM", good: "no public key"} {
		_, err := ReadPublicKey(path)
		require.ErrorContains(t, err, reason)
	}
}
