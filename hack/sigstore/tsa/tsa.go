// SPDX-License-Identifier: Apache-2.0

// Package tsa is an RFC 3161 timestamp authority with the request rules of
// Sigstore's timestamp-authority, used as a library because that program's
// server insists on a fixed port and keeps its key in package variables.
//
// It answers DER queries (application/timestamp-query) only, which is what
// Sigstore clients send.
package tsa

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/timestamp-authority/v2/pkg/verification"
	tsx509 "github.com/sigstore/timestamp-authority/v2/pkg/x509"

	"github.com/plombproject/plomb/hack/sigstore/keys"
)

// Path is where the authority answers, below its base URL.
const Path = "/api/v1/timestamp"

// ErrRefused is returned for a query that the authority does not answer.
var ErrRefused = errors.New("timestamp query refused")

const (
	queryType = "application/timestamp-query"
	replyType = "application/timestamp-reply"
	// maxQuery bounds a query, which is about a hundred bytes.
	maxQuery = 64 << 10
	// accuracy is what Sigstore's authority states.
	accuracy = time.Second
)

// policy returns the OID of Sigstore's timestamping policy, the default of
// timestamp-authority's --default-policy-oid.
func policy() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2} }

// NewPair makes the key and the chain of an authority.
func NewPair(now time.Time) (keys.Pair, error) {
	// RFC 3161, 2.3: "The corresponding certificate MUST contain only one
	// instance of the extended key usage field extension [...] id-kp-timeStamping.
	// This extension MUST be critical." crypto/x509 never marks it critical, so
	// it is written out.
	eku, err := asn1.Marshal([]asn1.ObjectIdentifier{tsx509.EKUTimestampingOID})
	if err != nil {
		return keys.Pair{}, err
	}
	return keys.NewChain("timestamp authority", &keys.Template{
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: tsx509.EKUOID, Critical: true, Value: eku}},
	}, now)
}

// Authority signs timestamps with one key.
type Authority struct {
	pair keys.Pair
	now  func() time.Time
}

// New checks that the pair may sign timestamps.
func New(pair keys.Pair, now func() time.Time) (*Authority, error) {
	if err := tsx509.VerifyCertChain(pair.Chain, pair.Signer, true); err != nil {
		return nil, fmt.Errorf("certificate chain of the timestamp authority: %w", err)
	}
	return &Authority{pair: pair, now: now}, nil
}

// Chain runs from the signing certificate to the root.
func (a *Authority) Chain() []*x509.Certificate { return a.pair.Chain }

// Handler answers POST Path.
func (a *Authority) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Path, a.serve)
	return mux
}

func (a *Authority) serve(w http.ResponseWriter, r *http.Request) {
	if got := r.Header.Get("Content-Type"); got != queryType {
		http.Error(w, fmt.Sprintf("content type %q; send %s", got, queryType), http.StatusUnsupportedMediaType)
		return
	}
	query, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuery))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply, err := a.reply(query)
	switch {
	case errors.Is(err, ErrRefused):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", replyType)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(reply)
	}
}

func (a *Authority) reply(query []byte) ([]byte, error) {
	request, err := timestamp.ParseRequest(query)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err := verification.VerifyRequest(request); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if len(request.TSAPolicyOID) > 0 && !request.TSAPolicyOID.Equal(policy()) {
		return nil, fmt.Errorf("%w: policy %s; this authority has %s", ErrRefused, request.TSAPolicyOID, policy())
	}
	if len(request.Extensions) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrRefused, verification.ErrUnacceptedExtension)
	}
	stamp := timestamp.Timestamp{
		HashAlgorithm: request.HashAlgorithm,
		HashedMessage: request.HashedMessage,
		// GeneralizedTime is written as given, so it must already be UTC.
		Time:              a.now().UTC(),
		Nonce:             request.Nonce,
		Policy:            policy(),
		Accuracy:          accuracy,
		AddTSACertificate: request.Certificates,
	}
	reply, err := stamp.CreateResponseWithOpts(a.pair.Chain[0], a.pair.Signer, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign timestamp: %w", err)
	}
	return reply, nil
}
