// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// authority is a certificate authority of a root.
type authority struct {
	*root.FulcioCertificateAuthority
}

// checkCertificate demands that one authority vouches for the certificate at
// every time of signing, and that a certificate transparency log has seen it.
// It returns the URIs of the authorities that do.
func (v *Verifier) checkCertificate(cert *x509.Certificate, times []witness) ([]string, error) {
	var (
		uris   []string
		chains [][]*x509.Certificate
		reason error
	)
	for _, ca := range v.authorities {
		found, err := ca.vouch(cert, times)
		if err != nil {
			reason = closer(reason, err)
			continue
		}
		chains = append(chains, found...)
		if ca.URI != "" {
			uris = append(uris, ca.URI)
		}
	}
	if len(chains) == 0 {
		return nil, fmt.Errorf("%w: issued by %q, valid from %s to %s: %w", ErrCertificate,
			short(cert.Issuer.String()), stamp(cert.NotBefore), stamp(cert.NotAfter), reason)
	}
	if v.ignoreSCT {
		return uris, nil
	}
	if err := verify.VerifySignedCertificateTimestamp(chains, 1, &material{ctLogs: v.ctLogs}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSCT, err)
	}
	return uris, nil
}

// vouch returns the chains that lead to the authority. Client specification:
// every certificate of the chain has to be valid at the time of signing, and
// at each of the times if there are several.
func (ca authority) vouch(cert *x509.Certificate, times []witness) ([][]*x509.Certificate, error) {
	var chains [][]*x509.Certificate
	for _, t := range times {
		found, err := ca.Verify(cert, t.time)
		if err != nil {
			return nil, fmt.Errorf("signed at %s: %w", stamp(t.time), err)
		}
		chains = found
	}
	return chains, nil
}

// closer picks the reason that says more: that of the authority that issued
// the certificate, if one of the root's did.
func closer(a, b error) error {
	var unknown x509.UnknownAuthorityError
	if a == nil || errors.As(a, &unknown) {
		return b
	}
	return a
}

// signerOf reads who the certificate names.
func signerOf(cert *x509.Certificate) (Signer, error) {
	s := Signer{Serial: fmt.Sprintf("%x", cert.SerialNumber)}
	switch {
	case len(cert.URIs) > 0:
		s.Subject = cert.URIs[0].String()
	case len(cert.EmailAddresses) > 0:
		s.Subject = cert.EmailAddresses[0]
	default:
		// crypto/x509 does not know the OtherName that Fulcio uses for user
		// names, and would refuse it as a critical extension.
		name, err := cryptoutils.UnmarshalOtherNameSAN(cert.Extensions)
		if err != nil || name == "" {
			return Signer{}, errors.New("it has no subject alternative name of a known kind")
		}
		s.Subject = name
		cert.UnhandledCriticalExtensions = slices.DeleteFunc(cert.UnhandledCriticalExtensions, func(id asn1.ObjectIdentifier) bool {
			return id.Equal(cryptoutils.SANOID)
		})
	}
	var err error
	if s.Extensions, err = fulcioExtensions(cert); err != nil {
		return Signer{}, err
	}
	s.Issuer = s.Extensions["issuer"]
	return s, nil
}

// extensions are the names of Fulcio's certificate extensions, by the last
// number of their identifier
// (https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md). Number 7 is
// part of the subject alternative name.
var extensions = [...]string{
	2:  "githubWorkflowTrigger",
	3:  "githubWorkflowSHA",
	4:  "githubWorkflowName",
	5:  "githubWorkflowRepository",
	6:  "githubWorkflowRef",
	8:  "issuer",
	9:  "buildSignerURI",
	10: "buildSignerDigest",
	11: "runnerEnvironment",
	12: "sourceRepositoryURI",
	13: "sourceRepositoryDigest",
	14: "sourceRepositoryRef",
	15: "sourceRepositoryIdentifier",
	16: "sourceRepositoryOwnerURI",
	17: "sourceRepositoryOwnerIdentifier",
	18: "buildConfigURI",
	19: "buildConfigDigest",
	20: "buildTrigger",
	21: "runInvocationURI",
	22: "sourceRepositoryVisibilityAtSigning",
	23: "deploymentEnvironment",
	24: "tokenSubject",
}

var oidFulcio = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1}

// firstDER is the first extension whose value is DER, not the bare string.
const firstDER = 8

func fulcioExtensions(cert *x509.Certificate) (map[string]string, error) {
	out := map[string]string{}
	issuerV1 := ""
	for _, e := range cert.Extensions {
		last := len(oidFulcio)
		if len(e.Id) != last+1 || !e.Id[:last].Equal(oidFulcio) {
			continue
		}
		n, value := e.Id[last], string(e.Value)
		if n >= firstDER {
			if rest, err := asn1.Unmarshal(e.Value, &value); err != nil || len(rest) > 0 {
				return nil, errors.New("extension " + e.Id.String() + " is no string in DER")
			}
		}
		if !utf8.ValidString(value) {
			return nil, errors.New("extension " + e.Id.String() + " is no UTF-8")
		}
		switch {
		case n == 1:
			issuerV1 = value
		case n < len(extensions) && extensions[n] != "":
			out[extensions[n]] = value
		}
	}
	// Number 1 is the issuer as older certificates have it.
	switch issuer, both := out["issuer"]; {
	case issuerV1 == "":
	case !both:
		out["issuer"] = issuerV1
	case issuer != issuerV1:
		return nil, fmt.Errorf("it names two issuers, %q and %q", short(issuer), short(issuerV1))
	}
	return out, nil
}
