// SPDX-License-Identifier: Apache-2.0

// Package rekor is two transparency logs. Log speaks the write API of Rekor v2
// (POST /api/v2/log/entries, hashedrekord only) and returns an inclusion proof
// with a signed checkpoint, after C2SP tlog-checkpoint and signed-note. LogV1
// speaks the part of Rekor v1's API that signers use (hashedrekord, dsse,
// intoto) and also promises inclusion with a signed entry timestamp.
//
// Entries are checked and made canonical by the code of rekor-tiles and of
// rekor. The server of the one lives in an internal package and publishes a
// checkpoint once in a while, that of the other needs Trillian and a database,
// so the tree here is ours and signs a checkpoint for every entry. The entries
// of a log are one file, a canonical JSON object per line, from which the tree
// is built again at start. There are no tiles, witnesses, monitors or search.
package rekor

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"sync"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	sigstorenote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

// Log is a log of Rekor v2: append-only, with one key.
type Log struct {
	origin string
	id     []byte
	public crypto.PublicKey
	signer note.Signer

	mu     sync.Mutex
	leaves *leaves
}

// Open reads the entries in path, which need not exist, and goes on from
// there. Origin is the host name in the trusted root's base URL: verifiers
// look for it on the first line of a checkpoint.
func Open(ctx context.Context, path, origin string, key ed25519.PrivateKey) (*Log, error) {
	signer, err := signature.LoadED25519Signer(key)
	if err != nil {
		return nil, fmt.Errorf("key of the transparency log: %w", err)
	}
	noteSigner, err := sigstorenote.NewNoteSigner(ctx, origin, signer)
	if err != nil {
		return nil, fmt.Errorf("checkpoint signer: %w", err)
	}
	// Rekor v2 names a log by the whole hash whose first four bytes are the
	// C2SP key id, not by the hash of its public key as Rekor v1 did.
	_, id, err := sigstorenote.KeyHash(origin, key.Public())
	if err != nil {
		return nil, fmt.Errorf("id of the transparency log: %w", err)
	}
	entries, err := openLeaves(path, func(line []byte) ([]byte, error) { return line, nil })
	if err != nil {
		return nil, err
	}
	return &Log{origin: origin, id: id, public: key.Public(), signer: noteSigner, leaves: entries}, nil
}

// Close releases the file.
func (l *Log) Close() error { return l.leaves.close() }

// ID is the log id in entries and trusted roots.
func (l *Log) ID() []byte { return l.id }

// PublicKey verifies the log's checkpoints.
func (l *Log) PublicKey() crypto.PublicKey { return l.public }

// Append adds one canonical entry and proves its inclusion in the tree that
// ends with it.
func (l *Log) Append(body []byte) (*protorekor.TransparencyLogEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.leaves.append(body, body); err != nil {
		return nil, err
	}
	return l.prove(l.leaves.tree.size()-1, body)
}

// Checkpoint signs the state of the tree.
func (l *Log) Checkpoint() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpoint()
}

func (l *Log) checkpoint() ([]byte, error) {
	state := formats.Checkpoint{Origin: l.origin, Size: l.leaves.tree.size(), Hash: l.leaves.tree.root()}
	signed, err := note.Sign(&note.Note{Text: string(state.Marshal())}, l.signer)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return signed, nil
}

func (l *Log) prove(index uint64, body []byte) (*protorekor.TransparencyLogEntry, error) {
	hashes, err := l.leaves.tree.inclusion(index)
	if err != nil {
		return nil, err
	}
	checkpoint, err := l.checkpoint()
	if err != nil {
		return nil, err
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex:          int64(index),
		LogId:             &protocommon.LogId{KeyId: l.id},
		KindVersion:       &protorekor.KindVersion{Kind: entryKind, Version: entryVersion},
		CanonicalizedBody: body,
		InclusionProof: &protorekor.InclusionProof{
			LogIndex:   int64(index),
			RootHash:   l.leaves.tree.root(),
			TreeSize:   int64(l.leaves.tree.size()),
			Hashes:     hashes,
			Checkpoint: &protorekor.Checkpoint{Envelope: string(checkpoint)},
		},
	}, nil
}
