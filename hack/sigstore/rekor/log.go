// SPDX-License-Identifier: Apache-2.0

// Package rekor is a transparency log that speaks the write API of Rekor v2
// (POST /api/v2/log/entries, hashedrekord only) and returns an inclusion proof
// with a signed checkpoint, after C2SP tlog-checkpoint and signed-note.
//
// Entries are checked and made canonical by rekor-tiles' own code; its server
// lives in an internal package and publishes a checkpoint once in a while, so
// the tree here is ours and signs a checkpoint for every entry. The entries
// are one file, a canonical JSON object per line, from which the tree is built
// again at start. There are no tiles, witnesses or monitors.
package rekor

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	sigstorenote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

// ErrInUse is returned when another process appends to the same log: two trees
// with one key would be a split view.
var ErrInUse = errors.New("transparency log is in use by another process")

// DuplicateError is returned for an entry that the log already has.
type DuplicateError struct{ Index uint64 }

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("an equivalent entry already exists in the transparency log with index %d", e.Index)
}

// Log is an append-only log with one key.
type Log struct {
	origin string
	id     []byte
	public crypto.PublicKey
	signer note.Signer

	mu    sync.Mutex
	tree  tree
	index map[[32]byte]uint64
	file  *os.File
	// end is where the next entry goes in file; a write that failed half way
	// is overwritten by the next one.
	end int64
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
	l := &Log{origin: origin, id: id, public: key.Public(), signer: noteSigner, index: map[[32]byte]uint64{}}
	if err := l.load(path); err != nil {
		return nil, fmt.Errorf("transparency log %s: %w", path, err)
	}
	return l, nil
}

// load replays the entries. A last line without its newline was never
// answered for, so it is cut off.
func (l *Log) load(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	l.file = file
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("%w; stop it or use another folder: %w", ErrInUse, err), file.Close())
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	for line := range bytes.Lines(whole) {
		l.add(bytes.TrimSuffix(line, []byte("\n")))
	}
	l.end = int64(len(whole))
	if err := file.Truncate(l.end); err != nil {
		return errors.Join(err, file.Close())
	}
	return nil
}

// Close releases the file.
func (l *Log) Close() error { return l.file.Close() }

// ID is the log id in entries and trusted roots.
func (l *Log) ID() []byte { return l.id }

// PublicKey verifies the log's checkpoints.
func (l *Log) PublicKey() crypto.PublicKey { return l.public }

// Append adds one canonical entry and proves its inclusion in the tree that
// ends with it.
func (l *Log) Append(body []byte) (*protorekor.TransparencyLogEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if index, ok := l.index[leafHash(body)]; ok {
		return nil, &DuplicateError{Index: index}
	}
	// On file before in the tree: a checkpoint must never speak of an entry
	// that a restart would forget. A machine that loses power may still lose
	// the last entries; a test log does not pay for a sync.
	n, err := l.file.WriteAt(append(bytes.Clone(body), '\n'), l.end)
	if err != nil {
		return nil, fmt.Errorf("append to the transparency log: %w", err)
	}
	l.end += int64(n)
	l.add(body)
	return l.prove(l.tree.size()-1, body)
}

// Checkpoint signs the state of the tree.
func (l *Log) Checkpoint() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpoint()
}

func (l *Log) add(body []byte) {
	hash := leafHash(body)
	l.index[hash] = l.tree.size()
	l.tree.append(hash[:])
}

func (l *Log) checkpoint() ([]byte, error) {
	state := formats.Checkpoint{Origin: l.origin, Size: l.tree.size(), Hash: l.tree.root()}
	signed, err := note.Sign(&note.Note{Text: string(state.Marshal())}, l.signer)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return signed, nil
}

func (l *Log) prove(index uint64, body []byte) (*protorekor.TransparencyLogEntry, error) {
	hashes, err := l.tree.inclusion(index)
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
			RootHash:   l.tree.root(),
			TreeSize:   int64(l.tree.size()),
			Hashes:     hashes,
			Checkpoint: &protorekor.Checkpoint{Envelope: string(checkpoint)},
		},
	}, nil
}

func leafHash(body []byte) [32]byte { return [32]byte(rfc6962.DefaultHasher.HashLeaf(body)) }
