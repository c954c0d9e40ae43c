// SPDX-License-Identifier: Apache-2.0

package rekor

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore/pkg/signature"
)

// treeID is the only tree of a LogV1. Rekor puts it before the leaf hash in an
// entry's name, and after the host name in a checkpoint's origin, by which
// clients tell a checkpoint of Rekor v1 from one of Rekor v2.
const treeID = 1

// LogV1 is a log of Rekor v1: append-only, with one key.
type LogV1 struct {
	host   string
	id     [sha256.Size]byte
	key    *ecdsa.PrivateKey
	signer signature.Signer
	now    func() time.Time

	mu      sync.Mutex
	leaves  *leaves
	entries []entryV1
}

// entryV1 is what a leaf stands for.
type entryV1 struct {
	integrated int64 // Unix time
	body       []byte
}

// OpenV1 reads the entries in path, which need not exist, and goes on from
// there. Host is the name in the log's checkpoints.
func OpenV1(path, host string, key *ecdsa.PrivateKey, now func() time.Time) (*LogV1, error) {
	signer, err := signature.LoadECDSASigner(key, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("key of the transparency log: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("key of the transparency log: %w", err)
	}
	l := &LogV1{host: host, id: sha256.Sum256(spki), key: key, signer: signer, now: now}
	l.leaves, err = openLeaves(path, l.replay)
	return l, err
}

// replay reads a line of the file: the time, a space and the canonical body.
func (l *LogV1) replay(line []byte) ([]byte, error) {
	integrated, body, _ := bytes.Cut(line, []byte(" "))
	at, err := strconv.ParseInt(string(integrated), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", len(l.entries), err)
	}
	l.entries = append(l.entries, entryV1{at, body})
	return body, nil
}

// Close releases the file.
func (l *LogV1) Close() error { return l.leaves.close() }

// ID is the log id in entries and trusted roots: the SHA-256 of the public key.
func (l *LogV1) ID() []byte { return l.id[:] }

// PublicKey verifies the log's checkpoints and signed entry timestamps.
func (l *LogV1) PublicKey() crypto.PublicKey { return l.key.Public() }

// Append adds one canonical entry and returns it, by name, with the promise
// and the proof that it is in the tree.
func (l *LogV1) Append(ctx context.Context, body []byte) (name string, entry *models.LogEntryAnon, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := entryV1{l.now().Unix(), body}
	if err := l.leaves.append(fmt.Appendf(nil, "%d %s", e.integrated, body), body); err != nil {
		return "", nil, err
	}
	l.entries = append(l.entries, e)
	entry, err = l.describe(ctx, uint64(len(l.entries)-1))
	return nameV1(body), entry, err
}

// Find returns an entry that Append returned earlier, by its name or by the
// leaf hash that the name ends with; nil if there is none.
func (l *LogV1) Find(ctx context.Context, name string) (*models.LogEntryAnon, error) {
	hash, err := hex.DecodeString(name[max(0, len(name)-2*sha256.Size):])
	if err != nil || len(hash) != sha256.Size {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	index, ok := l.leaves.index[[sha256.Size]byte(hash)]
	if !ok {
		return nil, nil
	}
	return l.describe(ctx, index)
}

func nameV1(body []byte) string { return fmt.Sprintf("%016x%x", treeID, leafHash(body)) }

func (l *LogV1) describe(ctx context.Context, index uint64) (*models.LogEntryAnon, error) {
	e, i, id := l.entries[index], int64(index), hex.EncodeToString(l.id[:])
	entry := &models.LogEntryAnon{LogID: &id, LogIndex: &i, Body: e.body, IntegratedTime: &e.integrated}
	promise, err := l.promise(entry)
	if err != nil {
		return nil, err
	}
	proof, err := l.prove(ctx, index)
	if err != nil {
		return nil, err
	}
	entry.Verification = &models.LogEntryAnonVerification{InclusionProof: proof, SignedEntryTimestamp: promise}
	return entry, nil
}

// promise signs the canonical JSON of body, time, log and index: the signed
// entry timestamp.
func (l *LogV1) promise(entry *models.LogEntryAnon) ([]byte, error) {
	plain, err := entry.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("signed entry timestamp: %w", err)
	}
	canonical, err := jsoncanonicalizer.Transform(plain)
	if err != nil {
		return nil, fmt.Errorf("signed entry timestamp: %w", err)
	}
	promise, err := l.signer.SignMessage(bytes.NewReader(canonical))
	if err != nil {
		return nil, fmt.Errorf("signed entry timestamp: %w", err)
	}
	return promise, nil
}

func (l *LogV1) prove(ctx context.Context, index uint64) (*models.InclusionProof, error) {
	hashes, err := l.leaves.tree.inclusion(index)
	if err != nil {
		return nil, err
	}
	root := l.leaves.tree.root()
	checkpoint, err := util.CreateAndSignCheckpoint(ctx, l.host, treeID, l.leaves.tree.size(), root, l.signer)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	i, size, rootHash, note := int64(index), int64(l.leaves.tree.size()), hex.EncodeToString(root), string(checkpoint)
	proof := &models.InclusionProof{LogIndex: &i, TreeSize: &size, RootHash: &rootHash, Checkpoint: &note, Hashes: []string{}}
	for _, hash := range hashes {
		proof.Hashes = append(proof.Hashes, hex.EncodeToString(hash))
	}
	return proof, nil
}
