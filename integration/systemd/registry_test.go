// SPDX-License-Identifier: Apache-2.0

//go:build integration

package systemd

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

// A registry has one unsigned image under every name: busybox, which sleeps.
// Below private/ it asks for a password.
type registry struct {
	manifest []byte
	blobs    map[string][]byte
	// users have passwords.
	users map[string]string

	mu   sync.Mutex
	seen map[string]bool // users who were let in
}

func newRegistry(t *testing.T, users map[string]string) *registry {
	t.Helper()
	path, err := exec.LookPath("busybox")
	require.NoError(t, err, "run hack/tools")
	program, err := os.ReadFile(path)
	require.NoError(t, err)
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(program)), Format: tar.FormatUSTAR}))
	_, err = w.Write(program)
	require.NoError(t, err)
	require.NoError(t, w.Close())

	r := &registry{blobs: map[string][]byte{}, users: users, seen: map[string]bool{}}
	add := func(mediaType string, data []byte) ocispec.Descriptor {
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		r.blobs[d.Digest.String()] = data
		return d
	}
	config, err := json.Marshal(ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/bin/busybox", "sleep", "2147483647"}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer.Bytes())}},
	})
	require.NoError(t, err)
	r.manifest, err = json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: add(ocispec.MediaTypeImageConfig, config),
		Layers: []ocispec.Descriptor{add(ocispec.MediaTypeImageLayer, layer.Bytes())},
	})
	require.NoError(t, err)
	return r
}

// ServeHTTP is what the distribution specification has of pulls.
func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if strings.HasPrefix(req.URL.Path, "/v2/private/") && !r.letIn(req) {
		w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, what, isManifest := strings.Cut(req.URL.Path, "/manifests/")
	_, blob, isBlob := strings.Cut(req.URL.Path, "/blobs/")
	of := digest.FromBytes(r.manifest).String()
	switch {
	case req.URL.Path == "/v2/":
	case isManifest && (what == "v1" || what == of):
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Docker-Content-Digest", of)
		_, _ = w.Write(r.manifest)
	case isBlob && r.blobs[blob] != nil:
		_, _ = w.Write(r.blobs[blob])
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (r *registry) letIn(req *http.Request) bool {
	user, password, _ := req.BasicAuth()
	if want, ok := r.users[user]; !ok || password != want {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[user] = true
	return true
}

// sawUser tells whether a user was let in.
func (r *registry) sawUser(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[name]
}

// serve serves it on the machine's loopback until the test ends.
func (r *registry) serve(m *machine, address string) {
	m.t.Helper()
	listener := m.listen(address)
	m.t.Cleanup(func() { _ = listener.Close() })
	go func() { _ = http.Serve(listener, r) }()
}
