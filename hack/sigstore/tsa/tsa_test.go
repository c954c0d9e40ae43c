// SPDX-License-Identifier: Apache-2.0

package tsa

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/stretchr/testify/require"
)

func TestTimestamp(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("east", 3600))
	pair, err := NewPair(time.Now())
	require.NoError(t, err)
	authority, err := New(pair, func() time.Time { return now })
	require.NoError(t, err)

	for _, c := range []struct {
		name        string
		contentType string
		request     timestamp.Request
		status      int
	}{
		{"good", queryType, timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: make([]byte, 32)}, http.StatusCreated},
		{"our policy", queryType, timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: make([]byte, 32), TSAPolicyOID: policy()}, http.StatusCreated},
		{"weak hash", queryType, timestamp.Request{HashAlgorithm: crypto.SHA1, HashedMessage: make([]byte, 20)}, http.StatusBadRequest},
		{"short digest", queryType, timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: make([]byte, 31)}, http.StatusBadRequest},
		{"other policy", queryType, timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: make([]byte, 32), TSAPolicyOID: asn1.ObjectIdentifier{1, 2, 3}}, http.StatusBadRequest},
		{"content type", "application/json", timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: make([]byte, 32)}, http.StatusUnsupportedMediaType},
	} {
		t.Run(c.name, func(t *testing.T) {
			query, err := c.request.Marshal()
			require.NoError(t, err)
			answer := post(authority, c.contentType, query)
			require.Equal(t, c.status, answer.Code, answer.Body)
			if c.status != http.StatusCreated {
				return
			}
			stamp, err := timestamp.ParseResponse(answer.Body.Bytes())
			require.NoError(t, err)
			require.True(t, now.Equal(stamp.Time), stamp.Time)
			require.Equal(t, policy(), stamp.Policy)
		})
	}
	require.Equal(t, http.StatusBadRequest, post(authority, queryType, []byte("x")).Code)
}

func TestKeyOfAnotherChainIsRefused(t *testing.T) {
	one, err := NewPair(time.Now())
	require.NoError(t, err)
	two, err := NewPair(time.Now())
	require.NoError(t, err)
	one.Signer = two.Signer
	_, err = New(one, time.Now)
	require.Error(t, err)
}

func post(a *Authority, contentType string, query []byte) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(query))
	request.Header.Set("Content-Type", contentType)
	answer := httptest.NewRecorder()
	a.Handler().ServeHTTP(answer, request)
	return answer
}
