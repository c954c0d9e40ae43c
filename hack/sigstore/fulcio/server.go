// SPDX-License-Identifier: Apache-2.0

// Package fulcio runs Fulcio's own server code with the identity
// configuration of the public instance, so that a certificate made here has
// the subject and extensions that the public instance would give it.
//
// Two things differ: the authority's key is a file, and every identity token
// is checked against the local signing key instead of the issuer's. The
// service is Fulcio's v2 API over HTTP (POST /api/v2/signingCert); gRPC and the
// v1 API are left out.
package fulcio

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	ctclient "github.com/google/certificate-transparency-go/client"
	"github.com/google/certificate-transparency-go/jsonclient"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/sigstore/fulcio/pkg/ca"
	"github.com/sigstore/fulcio/pkg/ca/baseca"
	"github.com/sigstore/fulcio/pkg/config"
	"github.com/sigstore/fulcio/pkg/generated/protobuf"
	"github.com/sigstore/fulcio/pkg/server"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/grpc/metadata"

	"github.com/plombproject/plomb/hack/sigstore/keys"
)

// maxRequest is Fulcio's own bound.
const maxRequest = 4 << 20

// answerTimeout bounds one certificate. Fulcio's client of the CT log tries
// again as long as it may, so without a bound a CT log that is down would look
// like a Fulcio that hangs.
const answerTimeout = 2 * time.Second

// Options says what a Fulcio needs.
type Options struct {
	// Authority issues the certificates.
	Authority keys.Pair
	// TokenKey verifies identity tokens of every issuer.
	TokenKey crypto.PublicKey
	// CTLogURL is the base URL of the CT log, CTLogKey the key of its SCTs.
	CTLogURL string
	CTLogKey crypto.PublicKey
}

// NewPair makes the key and the chain of an authority.
func NewPair(now time.Time) (keys.Pair, error) {
	return keys.NewChain("fulcio", &keys.Template{
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}, now)
}

// keyKinds are the client keys that the public instance certifies.
func keyKinds() []protocommon.PublicKeyDetails {
	return []protocommon.PublicKeyDetails{
		protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		protocommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384,
		protocommon.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512,
		protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256,
		protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256,
		protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_4096_SHA256,
		protocommon.PublicKeyDetails_PKIX_ED25519,
	}
}

// NewHandler answers Fulcio's v2 API.
func NewHandler(ctx context.Context, opts Options) (http.Handler, error) {
	cfg, err := Config()
	if err != nil {
		return nil, err
	}
	authority := &baseca.BaseCA{SignerWithChain: &ca.SignerCerts{
		Signer: opts.Authority.Signer,
		Certs:  opts.Authority.Chain,
	}}
	if err := ca.VerifyCertChain(opts.Authority.Chain, opts.Authority.Signer); err != nil {
		return nil, fmt.Errorf("certificate chain of Fulcio: %w", err)
	}
	algorithms, err := signature.NewAlgorithmRegistryConfig(keyKinds())
	if err != nil {
		return nil, fmt.Errorf("signature algorithms of Fulcio: %w", err)
	}
	log, err := ctLog(opts)
	if err != nil {
		return nil, err
	}
	gateway := runtime.NewServeMux(runtime.WithMetadata(bearerToken))
	service := server.NewGRPCCAServer(log, authority, algorithms, server.NewIssuerPool(cfg))
	if err := protobuf.RegisterCAHandlerServer(ctx, gateway, service); err != nil {
		return nil, fmt.Errorf("register Fulcio: %w", err)
	}
	tokens := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{opts.TokenKey}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
		defer cancel()
		ctx = withTokenKey(config.With(ctx, cfg), tokens)
		gateway.ServeHTTP(w, r.WithContext(ctx))
	}), nil
}

// ctLog checks every SCT it gets, as the public instance does.
func ctLog(opts Options) (*ctclient.LogClient, error) {
	spki, err := x509.MarshalPKIXPublicKey(opts.CTLogKey)
	if err != nil {
		return nil, fmt.Errorf("key of the certificate transparency log: %w", err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	client, err := ctclient.New(opts.CTLogURL, http.DefaultClient, jsonclient.Options{PublicKey: string(public)})
	if err != nil {
		return nil, fmt.Errorf("client of the certificate transparency log: %w", err)
	}
	return client, nil
}

// bearerToken is where Fulcio looks for a token that is not in the body.
func bearerToken(_ context.Context, r *http.Request) metadata.MD {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	return metadata.Pairs(server.MetadataOIDCTokenKey, token)
}
