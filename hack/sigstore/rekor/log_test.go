// SPDX-License-Identifier: Apache-2.0

package rekor

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	sigstorenote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor-tiles/v2/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

const origin = "log.example"

func open(t *testing.T, path string, key ed25519.PrivateKey) *Log {
	t.Helper()
	l, err := Open(t.Context(), path, origin, key)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func newKey(t *testing.T) (ed25519.PrivateKey, note.Verifier) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	verifier, err := signature.LoadED25519Verifier(public)
	require.NoError(t, err)
	n, err := sigstorenote.NewNoteVerifier(origin, verifier)
	require.NoError(t, err)
	return key, n
}

// Every size up to 40 has every shape of tree with up to six levels.
func TestEveryEntryIsProven(t *testing.T) {
	key, verifier := newKey(t)
	l := open(t, filepath.Join(t.TempDir(), "log"), key)
	for i := range 40 {
		entry, err := l.Append(fmt.Appendf(nil, `{"n":%d}`, i))
		require.NoError(t, err)
		require.EqualValues(t, i, entry.LogIndex)
		require.NoError(t, verify.VerifyLogEntry(entry, verifier), "size %d", i+1)

		for old := range i {
			body := fmt.Appendf(nil, `{"n":%d}`, old)
			proven, err := l.prove(uint64(old), body)
			require.NoError(t, err)
			require.NoError(t, verify.VerifyLogEntry(proven, verifier), "entry %d of %d", old, i+1)
			proven.CanonicalizedBody = []byte(`{"n":-1}`)
			require.Error(t, verify.VerifyLogEntry(proven, verifier))
		}
	}
}

func TestReopenedLogGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	key, verifier := newKey(t)
	l := open(t, path, key)
	for i := range 5 {
		_, err := l.Append(fmt.Appendf(nil, `{"n":%d}`, i))
		require.NoError(t, err)
	}
	before, err := l.Checkpoint()
	require.NoError(t, err)
	_, err = Open(t.Context(), path, origin, key)
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, l.Close())

	// A crash in the middle of a write leaves half a line.
	torn, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = torn.WriteString(`{"n":`)
	require.NoError(t, err)
	require.NoError(t, torn.Close())

	l = open(t, path, key)
	after, err := l.Checkpoint()
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	entry, err := l.Append([]byte(`{"n":5}`))
	require.NoError(t, err)
	require.EqualValues(t, 5, entry.LogIndex)
	require.NoError(t, verify.VerifyLogEntry(entry, verifier))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 6, bytes.Count(data, []byte("\n")))
}

func TestCreateEntry(t *testing.T) {
	key, _ := newKey(t)
	l := open(t, filepath.Join(t.TempDir(), "log"), key)
	handler, err := l.Handler()
	require.NoError(t, err)
	good := hashedRekord(t, func(*protobuf.HashedRekordRequestV002) {})
	for _, c := range []struct {
		name   string
		body   []byte
		status int
	}{
		{"good", good, http.StatusCreated},
		{"again", good, http.StatusConflict},
		{"not JSON", []byte("x"), http.StatusBadRequest},
		{"no entry", []byte("{}"), http.StatusBadRequest},
		{"unknown field", []byte(`{"dsseRequestV003":{}}`), http.StatusBadRequest},
		{"other digest", hashedRekord(t, func(r *protobuf.HashedRekordRequestV002) { r.Digest[0] ^= 1 }), http.StatusBadRequest},
		{"no signature", hashedRekord(t, func(r *protobuf.HashedRekordRequestV002) { r.Signature.Content = nil }), http.StatusBadRequest},
		{"too large", bytes.Repeat([]byte(" "), maxRequest+1), http.StatusBadRequest},
	} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/api/v2/log/entries", bytes.NewReader(c.body)))
		require.Equal(t, c.status, answer.Code, "%s: %s", c.name, answer.Body)
		if c.status == http.StatusConflict {
			require.Equal(t, "0", answer.Header().Get("x-log-index"))
		}
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/v2/checkpoint", nil))
	require.Contains(t, answer.Body.String(), origin+"\n1\n")
}

// hashedRekord is a correct submission, with one change after it was signed.
func hashedRekord(t *testing.T, change func(*protobuf.HashedRekordRequestV002)) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	digest := sha256.Sum256([]byte("artifact"))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	require.NoError(t, err)
	request := &protobuf.HashedRekordRequestV002{
		Digest: digest[:],
		Signature: &protobuf.Signature{Content: sig, Verifier: &protobuf.Verifier{
			Verifier:   &protobuf.Verifier_PublicKey{PublicKey: &protobuf.PublicKey{RawBytes: spki}},
			KeyDetails: protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		}},
	}
	change(request)
	data, err := protojson.Marshal(&protobuf.CreateEntryRequest{
		Spec: &protobuf.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: request},
	})
	require.NoError(t, err)
	return data
}
