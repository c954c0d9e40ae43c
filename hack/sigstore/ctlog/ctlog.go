// SPDX-License-Identifier: Apache-2.0

// Package ctlog is the part of a certificate transparency log that Fulcio
// needs: it answers add-pre-chain of RFC 6962 with a signed certificate
// timestamp (SCT).
//
// It checks that the precertificate was signed by the one authority it serves,
// as a log with an accepted roots list does. It keeps no Merkle tree and
// answers no queries: nothing in this project reads a CT log, only SCTs.
package ctlog

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
)

// ErrRefused is returned for a submission that the log does not accept.
var ErrRefused = errors.New("certificate transparency log refuses the chain")

// maxRequest bounds a submission: a precertificate and its chain take a few kB.
const maxRequest = 1 << 20

// Log signs SCTs for precertificates of one issuer.
type Log struct {
	signer crypto.Signer
	id     [sha256.Size]byte
	issuer *x509.Certificate
	now    func() time.Time
}

// New makes a log with an ECDSA key that accepts what issuer signed.
func New(signer crypto.Signer, issuer *x509.Certificate, now func() time.Time) (*Log, error) {
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("marshal key of the certificate transparency log: %w", err)
	}
	// RFC 6962, 3.2: "'key_id' is the SHA-256 hash of the log's public key,
	// calculated over the DER encoding of the key represented as
	// SubjectPublicKeyInfo".
	return &Log{signer: signer, id: sha256.Sum256(spki), issuer: issuer, now: now}, nil
}

// ID is the log's key id, as SCTs and trusted roots carry it.
func (l *Log) ID() []byte { return l.id[:] }

// PublicKey verifies the log's SCTs.
func (l *Log) PublicKey() crypto.PublicKey { return l.signer.Public() }

// Handler answers POST /ct/v1/add-pre-chain.
func (l *Log) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+ct.AddPreChainPath, l.addPreChain)
	return mux
}

func (l *Log) addPreChain(w http.ResponseWriter, r *http.Request) {
	var request ct.AddChainRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	response, err := l.add(request.Chain)
	switch {
	case errors.Is(err, ErrRefused):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(response)
	}
}

func (l *Log) add(chain [][]byte) (*ct.AddChainResponse, error) {
	certs, err := l.accept(chain)
	if err != nil {
		return nil, err
	}
	sct := ct.SignedCertificateTimestamp{
		SCTVersion: ct.V1,
		LogID:      ct.LogID{KeyID: l.id},
		Timestamp:  uint64(l.now().UnixMilli()),
	}
	leaf, err := ct.MerkleTreeLeafFromChain(certs, ct.PrecertLogEntryType, sct.Timestamp)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: *leaf})
	if err != nil {
		return nil, fmt.Errorf("serialise signed certificate timestamp: %w", err)
	}
	digest := sha256.Sum256(input)
	sig, err := l.signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign certificate timestamp: %w", err)
	}
	signed, err := tls.Marshal(ct.DigitallySigned{
		Algorithm: tls.SignatureAndHashAlgorithm{Hash: tls.SHA256, Signature: tls.ECDSA},
		Signature: sig,
	})
	if err != nil {
		return nil, fmt.Errorf("encode certificate timestamp: %w", err)
	}
	return &ct.AddChainResponse{
		SCTVersion: sct.SCTVersion,
		ID:         l.id[:],
		Timestamp:  sct.Timestamp,
		Extensions: base64.StdEncoding.EncodeToString(nil),
		Signature:  signed,
	}, nil
}

// accept parses the chain and checks that the log's one issuer signed the
// first certificate.
func (l *Log) accept(chain [][]byte) ([]*ctx509.Certificate, error) {
	if len(chain) < 2 {
		return nil, fmt.Errorf("%w: it has %d certificates, and a precertificate and its issuer are needed", ErrRefused, len(chain))
	}
	certs := make([]*ctx509.Certificate, len(chain))
	for i, der := range chain {
		cert, err := ctx509.ParseCertificate(der)
		if ctx509.IsFatal(err) {
			return nil, fmt.Errorf("%w: certificate %d: %w", ErrRefused, i, err)
		}
		certs[i] = cert
	}
	precert, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, fmt.Errorf("%w: precertificate: %w", ErrRefused, err)
	}
	if err := precert.CheckSignatureFrom(l.issuer); err != nil {
		return nil, fmt.Errorf("%w: this log serves %q only: %w", ErrRefused, l.issuer.Subject.CommonName, err)
	}
	return certs, nil
}
