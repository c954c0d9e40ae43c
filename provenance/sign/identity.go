// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/plombproject/plomb/provenance"
)

// An Identity signs: a key that lives in memory, with the certificate that
// tells whose it is, or a Key. Certificates live for minutes: get one when the
// statement is about to be written.
type Identity struct {
	keypair sign.Keypair
	opts    sign.BundleOptions

	// Builder is the URI of who vouches for a build, as the certificate says
	// it: the build signer URI, else a URI that is the subject, else the issuer
	// of the identity. Where there is no certificate it names the key.
	Builder string
}

// Certify makes a key and has it certified for the identity in idToken. Errors
// name the service and its URL; the token is in none of them.
func (s *Services) Certify(ctx context.Context, idToken string, now time.Time) (*Identity, error) {
	keypair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	authority, err := s.authority(now)
	if err != nil {
		return nil, err
	}
	opts, err := s.witnesses(now)
	if err != nil {
		return nil, err
	}
	if len(opts.TransparencyLogs) == 0 && len(opts.TimestampAuthorities) == 0 {
		return nil, fmt.Errorf("%w: it names neither a transparency log nor a timestamp authority, so nobody could tell later when the certificate was valid", ErrSigningConfig)
	}
	if s.trusted != nil {
		opts.TrustedRoot = s.trusted
	}
	der, err := authority.GetCertificate(ctx, keypair, &sign.CertificateProviderOptions{IDToken: idToken})
	if err != nil {
		return nil, explain(err)
	}
	builder, err := builderOf(der, keypair.GetPublicKey())
	if err != nil {
		return nil, authority.service.failure(err)
	}
	opts.CertificateProvider = issued(der)
	return &Identity{keypair: keypair, opts: opts, Builder: builder}, nil
}

// builderOf reads a certificate that has just been issued for key.
func builderOf(der []byte, key crypto.PublicKey) (string, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return "", fmt.Errorf("it answered with a broken certificate: %w", err)
	}
	if k, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(key) {
		return "", errors.New("it answered with the certificate of another key")
	}
	summary, err := certificate.SummarizeCertificate(cert)
	if err != nil {
		return "", fmt.Errorf("it answered with a certificate of another kind: %w", err)
	}
	switch {
	case summary.BuildSignerURI != "":
		return summary.BuildSignerURI, nil
	case len(cert.URIs) > 0:
		return cert.URIs[0].String(), nil
	case summary.Issuer != "":
		return summary.Issuer, nil
	}
	return "", errors.New("it answered with a certificate that does not say whose it is")
}

// issued is a certificate as a sign.CertificateProvider.
type issued []byte

// GetCertificate implements sign.CertificateProvider.
func (i issued) GetCertificate(context.Context, sign.Keypair, *sign.CertificateProviderOptions) ([]byte, error) {
	return i, nil
}

// Sign signs statement, the bytes of an in-toto statement. The result is the
// bundle's JSON, compact and escaped as encoding/json writes it, so that an
// exporter that re-marshals it leaves the bytes alone. Errors name the service
// and its URL.
func (i *Identity) Sign(ctx context.Context, statement []byte) ([]byte, error) {
	opts := i.opts
	opts.Context = ctx
	b, err := sign.Bundle(&sign.DSSEData{Data: statement, PayloadType: provenance.PayloadType}, i.keypair, opts)
	if err != nil {
		return nil, explain(err)
	}
	loose, err := protojson.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode the bundle: %w", err)
	}
	return json.Marshal(json.RawMessage(loose))
}
