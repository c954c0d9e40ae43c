// SPDX-License-Identifier: Apache-2.0

// Package sign makes a Sigstore bundle v0.3 over an in-toto statement: a DSSE
// envelope with one signature by a key that lives only in memory, a Fulcio
// certificate for the identity in an OIDC token, and the log entries and
// timestamps that the signing config asks for.
//
// It does not find credentials (frontend/credential does) and does not decide
// what is signed.
package sign

import (
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
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
	config  *root.SigningConfig
	trusted *root.TrustedRoot
}

// LoadServices reads a signing config (media type v0.2) and, if it is not
// empty, the trusted root that finished bundles are checked against.
func LoadServices(signingConfig, trustedRoot []byte) (*Services, error) {
	config, err := root.NewSigningConfigFromJSON(signingConfig)
	if err != nil {
		return nil, fmt.Errorf("%w: signing_config.json: %w", ErrSigningConfig, err)
	}
	s := &Services{config: config}
	if len(trustedRoot) > 0 {
		if s.trusted, err = root.NewTrustedRootFromJSON(trustedRoot); err != nil {
			return nil, fmt.Errorf("%w: trusted_root.json: %w", ErrSigningConfig, err)
		}
	}
	return s, nil
}

// bundleOptions are the services for a signature made now, and apart from them
// the one that certifies its key.
func (s *Services) bundleOptions(now time.Time) (sign.BundleOptions, certificates, error) {
	var opts sign.BundleOptions
	if s.trusted != nil {
		opts.TrustedRoot = s.trusted
	}
	fulcio, err := root.SelectService(s.config.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now)
	if err != nil {
		return opts, certificates{}, fmt.Errorf("%w: certificate authorities: %w", ErrSigningConfig, err)
	}
	ca := newService("certificate authority (Fulcio)", fulcio.URL, fulcioRemedy)
	authority := certificates{service: ca,
		authority: sign.NewFulcio(&sign.FulcioOptions{BaseURL: fulcio.URL, Timeout: requestTimeout, Transport: ca})}

	tsas, err := selectServices(s.config.TimestampAuthorityURLs(), s.config.TimestampAuthorityURLsConfig(), sign.TimestampAuthorityAPIVersions, now)
	if err != nil {
		return opts, authority, fmt.Errorf("%w: timestamp authorities: %w", ErrSigningConfig, err)
	}
	for _, tsa := range tsas {
		opts.TimestampAuthorities = append(opts.TimestampAuthorities, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{
			URL: tsa.URL, Timeout: requestTimeout, Transport: newService("timestamp authority", tsa.URL, reachRemedy)}))
	}
	logs, err := selectServices(s.config.RekorLogURLs(), s.config.RekorLogURLsConfig(), sign.RekorAPIVersions, now)
	if err != nil {
		return opts, authority, fmt.Errorf("%w: transparency logs: %w", ErrSigningConfig, err)
	}
	for _, log := range logs {
		opts.TransparencyLogs = append(opts.TransparencyLogs, transparency{
			service: newService("transparency log (Rekor)", log.URL, reachRemedy),
			log:     sign.NewRekor(&sign.RekorOptions{BaseURL: log.URL, Timeout: requestTimeout, Version: log.MajorAPIVersion})})
	}
	if len(tsas) == 0 && len(logs) == 0 {
		return opts, authority, fmt.Errorf("%w: it names neither a transparency log nor a timestamp authority, so nobody could tell later when the certificate was valid", ErrSigningConfig)
	}
	return opts, authority, nil
}

// explain prefers the words of the service that failed. What is left then is
// the last step of sign.Bundle: checking its own work.
func explain(err error) error {
	var failed *serviceError
	if errors.As(err, &failed) {
		return failed
	}
	return fmt.Errorf("%w: %w: check that trusted_root.json and signing_config.json belong together", ErrSelfCheck, err)
}

// selectServices is root.SelectServices, where a config without any service of
// a kind means that none is wanted.
func selectServices(all []root.Service, config root.ServiceConfiguration, versions []uint32, now time.Time) ([]root.Service, error) {
	if len(all) == 0 {
		return nil, nil
	}
	return root.SelectServices(all, config, versions, now)
}
