// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"fmt"

	"github.com/sigstore/sigstore-go/pkg/verify"
)

// diagnose finds out which of sigstore-go's checks refused the bundle, by
// taking the same exported steps in the same order: its errors are text, and
// text is no contract. It never turns a refusal into anything else: a bundle
// that passes every step here still failed, with its signature.
func (r *Root) diagnose(p *parsed, refusal error) error {
	logTimes, err := r.verifier.VerifyTransparencyLogInclusion(p.bundle)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLogEntry, err)
	}
	times, err := r.verifier.VerifyObserverTimestamps(p.bundle, logTimes)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	for _, t := range times {
		chains, err := verify.VerifyLeafCertificate(t.Timestamp, p.certificate, r.material)
		if err != nil {
			return fmt.Errorf("%w: issued by %q, valid from %s to %s, signed at %s: %w", ErrCertificate,
				p.certificate.Issuer, p.certificate.NotBefore, p.certificate.NotAfter, t.Timestamp, err)
		}
		if err := verify.VerifySignedCertificateTimestamp(chains, 1, r.material); err != nil {
			return fmt.Errorf("%w: %w", ErrSCT, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrSignature, refusal)
}
