// SPDX-License-Identifier: Apache-2.0

//go:build integration

package formats

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

// Annotations of a layer in cosign's old form.
const (
	annotationCertificate = "dev.sigstore.cosign/certificate"
	annotationLog         = "dev.sigstore.cosign/bundle"
)

// Until 2024 attestations were logged as intoto 0.0.1: with the hash of the
// envelope, and without its signature. cosign v3 does not write such entries
// any more, so the log is asked by hand.
func TestOldestLogEntry(t *testing.T) {
	t.Parallel()
	m := method{signer: mine, keyless: true, proof: none, form: legacy}
	i := clone(t, plain, on.Registry)
	attest(t, m, i.at(i.index), "slsaprovenance1")
	provenance := policy(t, attestationPolicy(keylessAuthority(), "slsaprovenance1", "", ""))
	verified(t, denied, i.tagged(), provenance...)

	var entry string
	edit(t, i, ".att", func(m *ocispecs.Manifest) {
		envelope, err := i.repo.Blob(t.Context(), m.Layers[0].Digest)
		require.NoError(t, err)
		entry = logIntoto(t, envelope, m.Layers[0].Annotations[annotationCertificate])
		m.Layers[0].Annotations[annotationLog] = entry
	})
	verified(t, allowed, i.tagged(), provenance...)
	require.True(t, cosignAccepts(t, "verify-attestation", byIdentity(), legacy, i.at(i.index), "--type", "slsaprovenance1"))

	// The entry is about that envelope and no other one.
	attest(t, m, i.at(i.index), "vuln")
	scan := policy(t, attestationPolicy(keylessAuthority(), "vuln", "", ""))
	verified(t, denied, i.tagged(), scan...)
	edit(t, i, ".att", func(m *ocispecs.Manifest) {
		require.Len(t, m.Layers, 2)
		for _, l := range m.Layers {
			l.Annotations[annotationLog] = entry
		}
	})
	verified(t, denied, i.tagged(), scan...)
	verified(t, allowed, i.tagged(), provenance...)
}

// edit changes the manifest under one of cosign's tags of the image.
func edit(t *testing.T, i image, suffix string, change func(*ocispecs.Manifest)) {
	t.Helper()
	tag := fallback(i.index) + suffix
	data, err := i.repo.Manifest(t.Context(), tag)
	require.NoError(t, err)
	var m ocispecs.Manifest
	require.NoError(t, json.Unmarshal(data, &m))
	change(&m)
	data, err = json.Marshal(m)
	require.NoError(t, err)
	_, err = i.repo.PutManifest(t.Context(), tag, data)
	require.NoError(t, err)
}

// logIntoto has Rekor v1 log an envelope, and returns what cosign kept of the
// answer.
func logIntoto(t *testing.T, envelope []byte, certificate string) string {
	t.Helper()
	request, err := json.Marshal(map[string]any{"apiVersion": "0.0.1", "kind": "intoto", "spec": map[string]any{
		"content":   map[string]any{"envelope": string(envelope)},
		"publicKey": []byte(certificate),
	}})
	require.NoError(t, err)
	answer, err := http.Post(service(t, "rekor-v1/api/v1/log/entries"), "application/json", bytes.NewReader(request))
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, answer.StatusCode, string(body))
	var entries map[string]struct {
		Body                     []byte
		IntegratedTime, LogIndex int64
		LogID                    string
		Verification             struct{ SignedEntryTimestamp []byte }
	}
	require.NoError(t, json.Unmarshal(body, &entries))
	require.Len(t, entries, 1)
	var kept []byte
	for _, e := range entries {
		kept, err = json.Marshal(map[string]any{
			"SignedEntryTimestamp": e.Verification.SignedEntryTimestamp,
			"Payload": map[string]any{
				"body": e.Body, "integratedTime": e.IntegratedTime, "logIndex": e.LogIndex, "logID": e.LogID,
			},
		})
		require.NoError(t, err)
	}
	return string(kept)
}
