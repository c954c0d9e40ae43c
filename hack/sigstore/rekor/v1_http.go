// SPDX-License-Identifier: Apache-2.0

package rekor

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-openapi/runtime"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"

	// The kinds of entries that container signers make register themselves.
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1"
	_ "github.com/sigstore/rekor/pkg/types/hashedrekord/v0.0.1"
	_ "github.com/sigstore/rekor/pkg/types/intoto/v0.0.1"
	_ "github.com/sigstore/rekor/pkg/types/intoto/v0.0.2"
)

// entriesPath is where entries are submitted, and below it found.
const entriesPath = "/api/v1/log/entries"

// maxRequestV1 bounds a submission. Other than in v2, a whole attestation is
// sent, although only its hashes are kept.
const maxRequestV1 = 32 << 20

// Handler answers POST /api/v1/log/entries, GET /api/v1/log/entries/NAME and
// GET /api/v1/log/publicKey.
func (l *LogV1) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+entriesPath, l.createEntry)
	mux.HandleFunc("GET "+entriesPath+"/{name}", l.getEntry)
	mux.HandleFunc("GET /api/v1/log/publicKey", func(w http.ResponseWriter, _ *http.Request) {
		der, err := x509.MarshalPKIXPublicKey(l.PublicKey())
		if err != nil {
			refuse(w, http.StatusInternalServerError, err)
			return
		}
		w.Header().Set("Content-Type", "application/x-pem-file")
		_ = pem.Encode(w, &pem.Block{Type: "PUBLIC KEY", Bytes: der})
	})
	return mux
}

func (l *LogV1) createEntry(w http.ResponseWriter, r *http.Request) {
	request, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestV1))
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	body, err := canonicalEntryV1(r.Context(), request)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	name, entry, err := l.Append(r.Context(), body)
	var duplicate *DuplicateError
	switch {
	case errors.As(err, &duplicate):
		// Signers fetch the entry from there.
		w.Header().Set("Location", entriesPath+"/"+nameV1(body))
		refuse(w, http.StatusConflict, err)
	case err != nil:
		refuse(w, http.StatusInternalServerError, err)
	default:
		w.Header().Set("Location", entriesPath+"/"+name)
		w.Header().Set("ETag", name)
		answer(w, http.StatusCreated, models.LogEntry{name: *entry})
	}
}

func (l *LogV1) getEntry(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	entry, err := l.Find(r.Context(), name)
	switch {
	case err != nil:
		refuse(w, http.StatusInternalServerError, err)
	case entry == nil:
		refuse(w, http.StatusNotFound, fmt.Errorf("the transparency log has no entry %s", name))
	default:
		answer(w, http.StatusOK, models.LogEntry{name: *entry})
	}
}

// canonicalEntryV1 checks the submitted signature and returns the bytes that
// the tree commits to.
func canonicalEntryV1(ctx context.Context, request []byte) ([]byte, error) {
	proposed, err := models.UnmarshalProposedEntry(bytes.NewReader(request), runtime.JSONConsumer())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	entry, err := types.CreateVersionedEntry(proposed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	body, err := types.CanonicalizeEntry(ctx, entry)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return body, nil
}

func answer(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// refuse answers as Rekor v1 does: a code and a message.
func refuse(w http.ResponseWriter, status int, err error) {
	data, _ := json.Marshal(map[string]any{"code": status, "message": err.Error()})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data)
}
