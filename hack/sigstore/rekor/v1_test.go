// SPDX-License-Identifier: Apache-2.0

package rekor

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/tle"
	"github.com/sigstore/rekor/pkg/types"
	rekordsse "github.com/sigstore/rekor/pkg/types/dsse"
	"github.com/sigstore/rekor/pkg/types/hashedrekord"
	"github.com/sigstore/rekor/pkg/types/intoto"
	"github.com/sigstore/rekor/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"
)

func openV1(t *testing.T, path string, key *ecdsa.PrivateKey) *LogV1 {
	t.Helper()
	l, err := OpenV1(path, "log.example", key, time.Now)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func newECDSA(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// proven has Rekor's own code verify proof, checkpoint and promise.
func proven(t *testing.T, l *LogV1, entry *models.LogEntryAnon) {
	t.Helper()
	// Clients get the entry as JSON, in which the body is base64.
	data, err := json.Marshal(entry)
	require.NoError(t, err)
	var read models.LogEntryAnon
	require.NoError(t, json.Unmarshal(data, &read))
	verifier, err := signature.LoadVerifier(l.PublicKey(), crypto.SHA256)
	require.NoError(t, err)
	require.NoError(t, verify.VerifyLogEntry(t.Context(), &read, verifier))
}

// Every size up to 20 has every shape of tree with up to five levels.
func TestEveryEntryOfV1IsProven(t *testing.T) {
	path, key := filepath.Join(t.TempDir(), "log"), newECDSA(t)
	l := openV1(t, path, key)
	var names []string
	for i := range 20 {
		name, entry, err := l.Append(t.Context(), fmt.Appendf(nil, `{"n":%d}`, i))
		require.NoError(t, err)
		require.EqualValues(t, i, *entry.LogIndex)
		proven(t, l, entry)
		names = append(names, name)
		for _, old := range names {
			found, err := l.Find(t.Context(), old)
			require.NoError(t, err)
			proven(t, l, found)
		}
	}
	before, err := l.Find(t.Context(), names[3])
	require.NoError(t, err)
	_, err = OpenV1(path, "log.example", key, time.Now)
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, l.Close())

	l = openV1(t, path, key)
	after, err := l.Find(t.Context(), names[3])
	require.NoError(t, err)
	require.Equal(t, before.IntegratedTime, after.IntegratedTime, "an old promise stays true")
	require.Equal(t, before.Body, after.Body)
	proven(t, l, after)
	for _, name := range []string{"", "x", nameV1([]byte("unknown"))} {
		found, err := l.Find(t.Context(), name)
		require.NoError(t, err)
		require.Nil(t, found, name)
	}
}

func TestCreateEntryV1(t *testing.T) {
	l := openV1(t, filepath.Join(t.TempDir(), "log"), newECDSA(t))
	post := func(body []byte) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		l.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, entriesPath, bytes.NewReader(body)))
		return answer
	}
	for name, entry := range map[string]models.ProposedEntry{
		"hashedrekord 0.0.1": hashedRekordV1(t, []byte("artifact")),
		"dsse 0.0.1":         enveloped(t, rekordsse.KIND, ""),
		"intoto 0.0.1":       enveloped(t, intoto.KIND, "0.0.1"),
		"intoto 0.0.2":       enveloped(t, intoto.KIND, "0.0.2"),
	} {
		body, err := json.Marshal(entry)
		require.NoError(t, err)
		answer := post(body)
		require.Equal(t, http.StatusCreated, answer.Code, "%s: %s", name, answer.Body)
		var made models.LogEntry
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &made))
		added := made[answer.Header().Get("ETag")]
		proven(t, l, &added)
		converted, err := tle.GenerateTransparencyLogEntry(added)
		require.NoError(t, err)
		require.Equal(t, name, converted.KindVersion.Kind+" "+converted.KindVersion.Version)

		// The same again leads to the entry that is there.
		again := post(body)
		require.Equal(t, http.StatusConflict, again.Code)
		require.Equal(t, answer.Header().Get("Location"), again.Header().Get("Location"))
		found := httptest.NewRecorder()
		l.Handler().ServeHTTP(found, httptest.NewRequest(http.MethodGet, again.Header().Get("Location"), nil))
		require.Equal(t, http.StatusOK, found.Code, found.Body)
	}
	forged := hashedRekordV1(t, []byte("artifact")).(*models.Hashedrekord)
	body, err := json.Marshal(forged)
	require.NoError(t, err)
	other := sha256.Sum256([]byte("another artifact"))
	mine := sha256.Sum256([]byte("artifact"))
	for name, body := range map[string][]byte{
		"not JSON":     []byte("x"),
		"unknown kind": []byte(`{"kind":"rekord2","apiVersion":"0.0.1","spec":{}}`),
		"other kind":   []byte(`{"kind":"jar","apiVersion":"0.0.1","spec":{}}`),
		"empty":        []byte(`{"kind":"hashedrekord","apiVersion":"0.0.1","spec":{}}`),
		"other digest": bytes.Replace(body, fmt.Appendf(nil, "%x", mine), fmt.Appendf(nil, "%x", other), 1),
		"too large":    bytes.Repeat([]byte(" "), maxRequestV1+1),
	} {
		require.Equal(t, http.StatusBadRequest, post(body).Code, name)
	}
	missing := httptest.NewRecorder()
	l.Handler().ServeHTTP(missing, httptest.NewRequest(http.MethodGet, entriesPath+"/"+nameV1([]byte("x")), nil))
	require.Equal(t, http.StatusNotFound, missing.Code)

	key := httptest.NewRecorder()
	l.Handler().ServeHTTP(key, httptest.NewRequest(http.MethodGet, "/api/v1/log/publicKey", nil))
	block, _ := pem.Decode(key.Body.Bytes())
	id := sha256.Sum256(block.Bytes)
	require.Equal(t, l.ID(), id[:])
}

func publicPEM(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// hashedRekordV1 is a correct submission of a signature over data.
func hashedRekordV1(t *testing.T, data []byte) models.ProposedEntry {
	t.Helper()
	key, hash := newECDSA(t), sha256.Sum256(data)
	sig, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
	require.NoError(t, err)
	entry, err := hashedrekord.New().CreateProposedEntry(t.Context(), "", types.ArtifactProperties{
		PKIFormat: "x509", PublicKeyBytes: [][]byte{publicPEM(t, key)}, SignatureBytes: sig, ArtifactHash: fmt.Sprintf("sha256:%x", hash),
	})
	require.NoError(t, err)
	return entry
}

// enveloped is a correct submission of an attestation.
func enveloped(t *testing.T, kind, version string) models.ProposedEntry {
	t.Helper()
	key := newECDSA(t)
	const payloadType, payload = "application/vnd.in-toto+json", `{"_type":"https://in-toto.io/Statement/v1"}`
	hash := sha256.Sum256(dsse.PAE(payloadType, []byte(payload)))
	sig, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
	require.NoError(t, err)
	envelope, err := json.Marshal(map[string]any{
		"payloadType": payloadType, "payload": []byte(payload), "signatures": []any{map[string]any{"sig": sig}},
	})
	require.NoError(t, err)
	entry, err := types.NewProposedEntry(t.Context(), kind, version, types.ArtifactProperties{
		ArtifactBytes: envelope, PublicKeyBytes: [][]byte{publicPEM(t, key)},
	})
	require.NoError(t, err)
	return entry
}
