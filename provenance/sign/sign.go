// SPDX-License-Identifier: Apache-2.0

// Package sign makes a Sigstore bundle v0.3 over an in-toto statement: a DSSE
// envelope with one signature, and the log entries and timestamps that the
// signing config asks for. The signature is by a key that lives only in memory,
// with a Fulcio certificate for the identity in an OIDC token, or by a lasting
// key, which need not be in this process.
//
// It does not find credentials (frontend/credential does) and does not decide
// what is signed.
package sign

import (
	"errors"
	"fmt"
	"time"

	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
)

var (
	// ErrSigningConfig reports a signing config that is broken, or that offers
	// no service of a kind that is needed now.
	ErrSigningConfig = errors.New("unusable signing config")
	// ErrService reports a Sigstore service that did not do its part.
	ErrService = errors.New("signing service failed")
	// ErrSelfCheck reports that what the services returned does not verify
	// against the trusted root given with them.
	ErrSelfCheck = errors.New("the new signature does not verify")
)

// requestTimeout bounds what one service may take, retries included.
const requestTimeout = 30 * time.Second

const (
	reachRemedy  = "check that it runs and that the builder reaches it, and try again"
	fulcioRemedy = "check that it runs and that the builder reaches it, and that the identity token is fresh, has the audience it expects (usually \"sigstore\") and comes from an issuer it accepts"
)

// Services are the Sigstore instances to use.
type Services struct {
	config  *root.SigningConfig // nil: none
	trusted *root.TrustedRoot   // nil: finished bundles are not checked against one
}

// NoServices are for keys that sign without log and timestamp.
func NoServices() *Services { return &Services{} }

// LoadServices reads a signing config (media type v0.2) and, if it is not
// empty, the trusted root that finished bundles are checked against.
func LoadServices(signingConfig, trustedRoot []byte) (*Services, error) {
	config, err := root.NewSigningConfigFromJSON(signingConfig)
	if err != nil {
		return nil, fmt.Errorf("%w: signing_config.json: %w", ErrSigningConfig, err)
	}
	if err := checkSelectors(signingConfig); err != nil {
		return nil, err
	}
	s := &Services{config: config}
	if len(trustedRoot) > 0 {
		if s.trusted, err = root.NewTrustedRootFromJSON(trustedRoot); err != nil {
			return nil, fmt.Errorf("%w: trusted_root.json: %w", ErrSigningConfig, err)
		}
	}
	return s, nil
}

// checkSelectors demands of a config that names logs or timestamp authorities
// that it says how many of them to use. One that names none need not, and
// sigstore-go must then not be asked.
func checkSelectors(signingConfig []byte) error {
	var c prototrustroot.SigningConfig
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(signingConfig, &c); err != nil {
		return fmt.Errorf("%w: signing_config.json: %w", ErrSigningConfig, err)
	}
	switch {
	case len(c.GetRekorTlogUrls()) > 0 && c.GetRekorTlogConfig() == nil:
		return fmt.Errorf("%w: signing_config.json: it has rekorTlogUrls and no rekorTlogConfig; add {\"selector\": \"ANY\"}", ErrSigningConfig)
	case len(c.GetTsaUrls()) > 0 && c.GetTsaConfig() == nil:
		return fmt.Errorf("%w: signing_config.json: it has tsaUrls and no tsaConfig; add {\"selector\": \"ANY\"}", ErrSigningConfig)
	}
	return nil
}

// authority is the service that certifies a key now.
func (s *Services) authority(now time.Time) (certificates, error) {
	if s.config == nil {
		return certificates{}, fmt.Errorf("%w: there is none", ErrSigningConfig)
	}
	fulcio, err := root.SelectService(s.config.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now)
	if err != nil {
		return certificates{}, fmt.Errorf("%w: certificate authorities: %w", ErrSigningConfig, err)
	}
	ca := newService("certificate authority (Fulcio)", fulcio.URL, fulcioRemedy)
	return certificates{service: ca,
		authority: sign.NewFulcio(&sign.FulcioOptions{BaseURL: fulcio.URL, Timeout: requestTimeout, Transport: ca})}, nil
}

// witnesses are the services that vouch for a signature made now: those of the
// signing config, which may name none.
func (s *Services) witnesses(now time.Time) (sign.BundleOptions, error) {
	var opts sign.BundleOptions
	tsas, err := selectServices(s.config.TimestampAuthorityURLs(), s.config.TimestampAuthorityURLsConfig, sign.TimestampAuthorityAPIVersions, now)
	if err != nil {
		return opts, fmt.Errorf("%w: timestamp authorities: %w", ErrSigningConfig, err)
	}
	for _, tsa := range tsas {
		opts.TimestampAuthorities = append(opts.TimestampAuthorities, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{
			URL: tsa.URL, Timeout: requestTimeout, Transport: newService("timestamp authority", tsa.URL, reachRemedy)}))
	}
	logs, err := selectServices(s.config.RekorLogURLs(), s.config.RekorLogURLsConfig, sign.RekorAPIVersions, now)
	if err != nil {
		return opts, fmt.Errorf("%w: transparency logs: %w", ErrSigningConfig, err)
	}
	for _, log := range logs {
		opts.TransparencyLogs = append(opts.TransparencyLogs, transparency{
			service: newService("transparency log (Rekor)", log.URL, reachRemedy),
			log:     sign.NewRekor(&sign.RekorOptions{BaseURL: log.URL, Timeout: requestTimeout, Version: log.MajorAPIVersion})})
	}
	return opts, nil
}

// explain prefers the words of the service or key that failed. What is left
// then is the last step of sign.Bundle: checking its own work.
func explain(err error) error {
	var failed *serviceError
	if errors.As(err, &failed) {
		return failed
	}
	var key *keyError
	if errors.As(err, &key) {
		return key.error
	}
	return fmt.Errorf("%w: %w: check that trusted_root.json and signing_config.json belong together", ErrSelfCheck, err)
}

// selectServices is root.SelectServices, where a config without any service of
// a kind means that none is wanted.
func selectServices(all []root.Service, config func() root.ServiceConfiguration, versions []uint32, now time.Time) ([]root.Service, error) {
	if len(all) == 0 {
		return nil, nil
	}
	return root.SelectServices(all, config(), versions, now)
}
