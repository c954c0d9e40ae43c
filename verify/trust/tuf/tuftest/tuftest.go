// SPDX-License-Identifier: Apache-2.0

// Package tuftest has a TUF repository with real keys, and a mirror of it that
// can lie. It is imported by tests only.
package tuftest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Target is the name of the only target.
const Target = "trusted_root.json"

// Repository is a TUF repository whose roles have a key each.
type Repository struct {
	// Expires of the role's next metadata, in an hour unless set.
	Expires map[string]time.Time
	// Plain is a repository without consistent snapshots.
	Plain bool

	t       testing.TB
	seed    string
	made    int
	keys    map[string]ed25519.PrivateKey
	root    *metadata.Metadata[metadata.RootType]
	version int64

	mu    sync.Mutex
	files map[string][]byte
	// handlers take the place of files.
	handlers map[string]http.HandlerFunc
}

var roles = []string{metadata.ROOT, metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS}

// New makes a repository with its first root.json and no target.
func New(t testing.TB) *Repository { return NewSeeded(t, rand.Text()) }

// NewSeeded makes the same repository whenever the seed is the same and Expires
// is set for every role.
func NewSeeded(t testing.TB, seed string) *Repository {
	t.Helper()
	r := &Repository{
		t: t, seed: seed, keys: map[string]ed25519.PrivateKey{}, files: map[string][]byte{},
		Expires: map[string]time.Time{}, handlers: map[string]http.HandlerFunc{},
	}
	r.root = metadata.Root()
	for _, role := range roles {
		r.newKey(role)
	}
	r.signRoot()
	return r
}

func (r *Repository) newKey(role string) {
	r.made++
	seed := sha256.Sum256(fmt.Append(nil, r.seed, role, r.made))
	private := ed25519.NewKeyFromSeed(seed[:])
	key, err := metadata.KeyFromPublicKey(private.Public())
	require.NoError(r.t, err)
	require.NoError(r.t, r.root.Signed.AddKey(key, role))
	r.keys[role] = private
}

func (r *Repository) expires(role string) time.Time {
	if at, set := r.Expires[role]; set {
		return at.UTC().Truncate(time.Second)
	}
	return time.Now().Add(time.Hour).UTC().Truncate(time.Second)
}

func (r *Repository) signRoot(also ...ed25519.PrivateKey) {
	r.root.Signed.Expires = r.expires(metadata.ROOT)
	r.root.Signed.ConsistentSnapshot = !r.Plain
	r.Set(fmt.Sprintf("%d.root.json", r.root.Signed.Version), sign(r.t, r.root, append(also, r.keys[metadata.ROOT])...))
}

func sign[T metadata.Roles](t testing.TB, m *metadata.Metadata[T], keys ...ed25519.PrivateKey) []byte {
	t.Helper()
	m.ClearSignatures()
	for _, key := range keys {
		signer, err := signature.LoadSigner(key, crypto.Hash(0))
		require.NoError(t, err)
		_, err = m.Sign(signer)
		require.NoError(t, err)
	}
	data, err := m.ToBytes(false)
	require.NoError(t, err)
	return data
}

// Root is a version of root.json.
func (r *Repository) Root(version int) []byte { return r.Get(fmt.Sprintf("%d.root.json", version)) }

// Rotate gives a role another key, in a next root.json.
func (r *Repository) Rotate(role string) {
	old := r.keys[role]
	key, err := metadata.KeyFromPublicKey(old.Public())
	require.NoError(r.t, err)
	id, err := key.ID()
	require.NoError(r.t, err)
	oldRoot := r.keys[metadata.ROOT]
	require.NoError(r.t, r.root.Signed.RevokeKey(id, role))
	r.newKey(role)
	r.root.Signed.Version++
	if role == metadata.ROOT {
		r.signRoot(oldRoot)
	} else {
		r.signRoot()
	}
}

// Publish makes the next version of everything but the root, with this target.
func (r *Repository) Publish(target []byte) {
	r.version++
	targets := metadata.Targets(r.expires(metadata.TARGETS))
	info, err := metadata.TargetFile().FromBytes(Target, target, "sha256")
	require.NoError(r.t, err)
	targets.Signed.Targets[Target] = info
	targets.Signed.Version = r.version
	snapshot := metadata.Snapshot(r.expires(metadata.SNAPSHOT))
	snapshot.Signed.Version = r.version
	snapshot.Signed.Meta["targets.json"] = metadata.MetaFile(r.version)
	timestamp := metadata.Timestamp(r.expires(metadata.TIMESTAMP))
	timestamp.Signed.Version = r.version
	timestamp.Signed.Meta["snapshot.json"] = metadata.MetaFile(r.version)

	number, hash := fmt.Sprintf("%d.", r.version), fmt.Sprintf("%x.", sha256.Sum256(target))
	if r.Plain {
		number, hash = "", ""
	}
	r.Set("targets/"+hash+Target, target)
	r.Set(number+"targets.json", sign(r.t, targets, r.keys[metadata.TARGETS]))
	r.Set(number+"snapshot.json", sign(r.t, snapshot, r.keys[metadata.SNAPSHOT]))
	r.Set("timestamp.json", sign(r.t, timestamp, r.keys[metadata.TIMESTAMP]))
}

// Get is the file that the mirror has.
func (r *Repository) Get(name string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files[name]
}

// Set puts a file on the mirror; nil takes it away.
func (r *Repository) Set(name string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[name] = data
	if data == nil {
		delete(r.files, name)
	}
}

// Names are the files of the mirror.
func (r *Repository) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.files))
}

// Handle answers for a file from now on; nil ends that.
func (r *Repository) Handle(name string, h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handlers[name] = h
}

// Serve is a mirror on loopback. It gives its URL.
func (r *Repository) Serve() string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		name := strings.TrimPrefix(req.URL.Path, "/")
		r.mu.Lock()
		handler, data := r.handlers[name], r.files[name]
		r.mu.Unlock()
		switch {
		case handler != nil:
			handler(w, req)
		case data == nil:
			http.NotFound(w, req)
		default:
			_, _ = w.Write(data)
		}
	}))
	r.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// Archive is the repository as a TrustRoot document has it.
func (r *Repository) Archive(prefix string) []byte {
	var entries []Entry
	for _, name := range r.Names() {
		entries = append(entries, Entry{Header: tar.Header{Name: prefix + name, Mode: 0o600}, Data: r.Get(name)})
	}
	return Tar(r.t, entries...)
}

// Entry is one of an archive.
type Entry struct {
	tar.Header
	Data []byte
}

// Tar makes an archive. A size of 0 is that of the data.
func Tar(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, e := range entries {
		if e.Size == 0 {
			e.Size = int64(len(e.Data))
		}
		require.NoError(t, w.WriteHeader(&e.Header))
		_, err := w.Write(e.Data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, zip.Close())
	return out.Bytes()
}
