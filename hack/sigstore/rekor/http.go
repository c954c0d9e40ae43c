// SPDX-License-Identifier: Apache-2.0

package rekor

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
)

// The one kind of entry that Rekor v2 takes; a DSSE envelope is logged as the
// hashedrekord of its pre-authentication encoding.
const (
	entryKind    = "hashedrekord"
	entryVersion = "0.0.2"
)

// maxRequest bounds a submission: a digest, a signature and a certificate.
const maxRequest = 1 << 20

// ErrRefused is returned for a submission that the log does not accept.
var ErrRefused = errors.New("transparency log refuses the entry")

// keyKinds are the client keys that production Rekor v2 takes.
func keyKinds() []protocommon.PublicKeyDetails {
	return []protocommon.PublicKeyDetails{
		protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256,
		protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256,
		protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_4096_SHA256,
		protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		protocommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384,
		protocommon.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512,
		protocommon.PublicKeyDetails_PKIX_ED25519,
		protocommon.PublicKeyDetails_PKIX_ED25519_PH,
	}
}

// Handler answers POST /api/v2/log/entries and GET /api/v2/checkpoint.
func (l *Log) Handler() (http.Handler, error) {
	algorithms, err := signature.NewAlgorithmRegistryConfig(keyKinds())
	if err != nil {
		return nil, fmt.Errorf("signature algorithms of the transparency log: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/log/entries", func(w http.ResponseWriter, r *http.Request) {
		l.createEntry(w, r, algorithms)
	})
	mux.HandleFunc("GET /api/v2/checkpoint", func(w http.ResponseWriter, _ *http.Request) {
		checkpoint, err := l.Checkpoint()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(checkpoint)
	})
	return mux, nil
}

func (l *Log) createEntry(w http.ResponseWriter, r *http.Request, algorithms *signature.AlgorithmRegistryConfig) {
	request, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	body, err := canonicalEntry(request, algorithms)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	entry, err := l.Append(body)
	var duplicate *DuplicateError
	switch {
	case errors.As(err, &duplicate):
		w.Header().Set("x-log-index", strconv.FormatUint(duplicate.Index, 10))
		http.Error(w, err.Error(), http.StatusConflict)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(entry)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(answer)
}

// canonicalEntry checks the submitted signature and returns the bytes that the
// tree commits to: the entry in canonical JSON (RFC 8785), so on one line.
func canonicalEntry(request []byte, algorithms *signature.AlgorithmRegistryConfig) ([]byte, error) {
	var create protobuf.CreateEntryRequest
	if err := protojson.Unmarshal(request, &create); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	submitted := create.GetHashedRekordRequestV002()
	if submitted == nil {
		return nil, fmt.Errorf("%w: invalid type, must be hashedrekord", ErrRefused)
	}
	entry, err := hashedrekord.ToLogEntry(submitted, algorithms)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	serialised, err := protojson.Marshal(entry)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	body, err := jsoncanonicalizer.Transform(serialised)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return body, nil
}
