// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
)

// CheckpointSchema identifies the JSON form of a Checkpoint.
const CheckpointSchema = "https://plombproject.github.io/receipt-checkpoint/v1"

const (
	// A checkpoint is due after so many receipts, or with the first one after
	// so long.
	checkpointLines = 100
	checkpointTime  = time.Minute

	// maxCheckpoint bounds a line of the file of checkpoints, in bytes.
	maxCheckpoint = 4 << 10
	// maxCheckpoints bounds that file, in bytes.
	maxCheckpoints = 256 << 20
	maxKey         = 64 << 10
)

// A Checkpoint is a signed word on where the log ended once. Kept elsewhere, it
// shows that everything up to there is still what it was.
type Checkpoint struct {
	Schema string    `json:"schema"`
	Time   time.Time `json:"time"`
	// File and Offset are the place behind the line feed of the last receipt,
	// and Last is that one's hash.
	File   string        `json:"file"`
	Offset int64         `json:"offset"`
	Last   digest.Digest `json:"last"`
	// Key is the SHA-256 of the public key, and Signature that over Text.
	Key       digest.Digest `json:"key"`
	Signature []byte        `json:"signature"`
}

// Text is what is signed.
func (c Checkpoint) Text() []byte {
	return fmt.Appendf(nil, "%s\n%s\n%s\n%d\n%s\n", CheckpointSchema, c.Time.UTC().Format(time.RFC3339Nano), c.File, c.Offset, c.Last)
}

// errCheckpoint reports a checkpoint that does not count.
var errCheckpoint = errors.New("no valid checkpoint")

// parseCheckpoint reads one line.
func parseCheckpoint(line []byte) (Checkpoint, error) {
	var c Checkpoint
	if err := strictjson.UnmarshalOpen(line, &c); err != nil {
		return c, fmt.Errorf("%w: %w", errCheckpoint, err)
	}
	switch {
	case c.Schema != CheckpointSchema:
		return c, fmt.Errorf("%w: its schema is %q, want %s", errCheckpoint, c.Schema, CheckpointSchema)
	case numberOf(c.File) == 0 || c.Offset <= 0:
		return c, fmt.Errorf("%w: it is about %q at byte %d", errCheckpoint, c.File, c.Offset)
	case c.Last.Validate() != nil:
		return c, fmt.Errorf("%w: last is %q", errCheckpoint, c.Last)
	}
	return c, nil
}

// verify demands a signature by one of the keys.
func (c Checkpoint) verify(keys []crypto.PublicKey) error {
	for _, key := range keys {
		if id, err := keyID(key); err != nil || id != c.Key {
			continue
		}
		valid := false
		switch key := key.(type) {
		case ed25519.PublicKey:
			valid = ed25519.Verify(key, c.Text(), c.Signature)
		case *ecdsa.PublicKey:
			sum := sha256.Sum256(c.Text())
			valid = ecdsa.VerifyASN1(key, sum[:], c.Signature)
		}
		if !valid {
			return fmt.Errorf("%w: the signature is not over this text", errCheckpoint)
		}
		return nil
	}
	return fmt.Errorf("%w: it is signed by another key, %s", errCheckpoint, c.Key)
}

// due is what speaks for a checkpoint.
type due struct {
	lines int       // receipts since the last one
	since time.Time // when that was
	now   bool      // a file is complete
}

// checkpoint signs the end of the log if it is time to. The receipts are on
// disk already, so a failure is told and tried again, and refuses nothing.
func (l *Log) checkpoint() {
	if l.key == nil || l.due.lines == 0 {
		l.due = due{since: l.due.since}
		return
	}
	now := l.opts.Now()
	age := now.Sub(l.due.since)
	if !l.due.now && l.due.lines < checkpointLines && age >= 0 && age < checkpointTime {
		return
	}
	if err := l.sign(now); err != nil {
		l.warn(fmt.Errorf("checkpoint in %s: %w; it is tried again with the next receipt", l.dir, err))
		return
	}
	l.due = due{since: now}
}

// lastCheckpoint signs the end of the log.
func (l *Log) lastCheckpoint() error {
	if l.key == nil {
		return nil
	}
	err := l.locked(func() error { return l.sign(l.opts.Now()) })
	if err != nil {
		return fmt.Errorf("%w: last checkpoint: %w", ErrLog, err)
	}
	return nil
}

func (l *Log) sign(now time.Time) error {
	c := Checkpoint{Schema: CheckpointSchema, Time: now.UTC(), File: fileName(l.at.file), Offset: l.at.size, Last: l.at.hash}
	var err error
	if c.Key, err = keyID(l.key.Public()); err != nil {
		return err
	}
	text, hash := c.Text(), crypto.Hash(0)
	if _, ok := l.key.(ed25519.PrivateKey); !ok {
		sum := sha256.Sum256(text)
		text, hash = sum[:], crypto.SHA256
	}
	if c.Signature, err = l.key.Sign(rand.Reader, text, hash); err != nil {
		return err
	}
	line, err := marshal(c)
	if err != nil {
		return err
	}
	return l.addCheckpoint(append(line, '\n'))
}

// addCheckpoint adds a line, behind the last whole one.
func (l *Log) addCheckpoint(line []byte) error {
	f, err := openOwn(filepath.Join(l.dir, checkpointName), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end, err := lastFeed(f, info.Size())
	if err != nil {
		return err
	}
	if end < info.Size() { // a crash tore it: what it said, the new one says too
		if err := f.Truncate(end); err != nil {
			return err
		}
	}
	_, err = l.write(f, line, end)
	if err == nil {
		err = l.sync(f)
	}
	if err != nil {
		return errors.Join(err, f.Truncate(end))
	}
	if end == 0 {
		return syncFolder(l.dir)
	}
	return nil
}

// readKey reads a private key, ed25519 or ECDSA, as PKCS #8 or SEC 1 in PEM.
// It must be readable by its owner alone.
func readKey(path string) (crypto.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %#o): chmod 600 it", path, info.Mode().Perm())
	}
	data, err := limit.ReadFile(path, maxKey)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", path)
	}
	var key any
	if block.Type == "EC PRIVATE KEY" {
		key, err = x509.ParseECPrivateKey(block.Bytes)
	} else {
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is no private key in PKCS #8 or SEC 1", path)
	}
	switch key := key.(type) {
	case ed25519.PrivateKey:
		return key, nil
	case *ecdsa.PrivateKey:
		return key, nil
	}
	return nil, fmt.Errorf("%s is a %T, want ed25519 or ECDSA", path, key)
}

// ReadPublicKey reads the key that checkpoints are verified with, as PKIX in PEM.
func ReadPublicKey(path string) (crypto.PublicKey, error) {
	data, err := limit.ReadFile(path, maxKey)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", path)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s is no public key in PKIX: %w", path, err)
	}
	switch key.(type) {
	case ed25519.PublicKey, *ecdsa.PublicKey:
		return key, nil
	}
	return nil, fmt.Errorf("%s is a %T, want ed25519 or ECDSA", path, key)
}

// keyID is the SHA-256 of a public key in PKIX.
func keyID(key crypto.PublicKey) (digest.Digest, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	return digest.SHA256.FromBytes(der), nil
}
