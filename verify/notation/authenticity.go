// SPDX-License-Identifier: Apache-2.0

package notation

import (
	"crypto/x509"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"github.com/notaryproject/notation-core-go/signature"

	"github.com/plombproject/plomb/verify/claim"
)

// authenticity: the certificate leads to a trust store of the type that the
// signing scheme asks for, and its subject is one that the policy names. The
// library has already checked that each certificate of the chain signed the
// one before.
func (e *examination) authenticity() error {
	kind := map[signature.SigningScheme]string{
		signature.SigningSchemeX509:                 TypeCA,
		signature.SigningSchemeX509SigningAuthority: TypeSigningAuthority,
	}[e.scheme()]
	store, err := e.trustStore(kind)
	if err != nil {
		return err
	}
	if err := welcome(e.v.identities, e.v.wanted, e.leaf()); err != nil {
		return err
	}
	e.authentic = true
	e.out.Signer = claim.Signer{
		X509:       e.leaf().Subject.String(),
		TrustStore: store,
		Serial:     e.leaf().SerialNumber.Text(16),
	}
	return nil
}

// trustStore names the first store, by name, with a certificate of the chain.
func (e *examination) trustStore(kind string) (string, error) {
	trusted := e.v.stores[e.scheme()]
	if len(trusted) == 0 {
		return "", fmt.Errorf("%w: a signature under the scheme %s needs a trust store of type %s, and the policy has none", ErrUntrusted, e.scheme(), kind)
	}
	for _, name := range trusted.names() {
		if _, err := signature.VerifyAuthenticity(&e.info, trusted[name]); err == nil {
			return kind + ":" + name, nil
		}
	}
	root := e.info.CertificateChain[len(e.info.CertificateChain)-1]
	return "", fmt.Errorf("%w: %q leads to %q, which is in no trust store of type %s of the policy (%s)", ErrUntrusted,
		e.leaf().Subject, root.Subject, kind, strings.Join(trusted.names(), ", "))
}

const subjectPrefix = "x509.subject:"

// An identity is the attributes that the subject of a certificate must have;
// none is anybody ("*").
type identity map[string]string

// CheckIdentities reports trusted identities with which NewVerifier could do
// nothing, as ErrOptions.
func CheckIdentities(list []string) error {
	_, err := parseIdentities(list)
	return err
}

// parseIdentities reads trustedIdentities as trust-store-trust-policy.md,
// "Trusted Identities Constraints", has them.
func parseIdentities(list []string) ([]identity, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no trusted identities; write x509.subject: and a distinguished name, or \"*\" for anybody with a trusted certificate", ErrOptions)
	}
	var identities []identity
	for _, entry := range list {
		name, ok := strings.CutPrefix(entry, subjectPrefix)
		switch {
		case entry == "*" && len(list) == 1:
			identities = append(identities, identity{})
		case entry == "*":
			return nil, fmt.Errorf("%w: \"*\" beside other trusted identities; it has to be the only one", ErrOptions)
		case !ok:
			return nil, fmt.Errorf("%w: trusted identity %q; only x509.subject: and \"*\" are known, others need plugins", ErrOptions, entry)
		default:
			id, err := parseName(name)
			if err != nil {
				return nil, fmt.Errorf("%w: trusted identity %q: %w", ErrOptions, entry, err)
			}
			for _, other := range identities {
				if id.subsetOf(other) || other.subsetOf(id) {
					return nil, fmt.Errorf("%w: trusted identity %q overlaps with another; leave the narrower one out", ErrOptions, entry)
				}
			}
			identities = append(identities, id)
		}
	}
	return identities, nil
}

// parseName reads a distinguished name (RFC 4514) under the rules of the same
// section: "C, ST and O" are there, no attribute is repeated, and there are
// neither multi-valued attributes nor values in hexadecimal.
func parseName(name string) (identity, error) {
	if strings.Contains(name, "=#") {
		return nil, fmt.Errorf("%q has a value in hexadecimal", name)
	}
	dn, err := ldap.ParseDN(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no distinguished name: %w", name, err)
	}
	id := identity{}
	for _, rdn := range dn.RDNs {
		if len(rdn.Attributes) != 1 {
			return nil, fmt.Errorf("%q has an attribute with several values", name)
		}
		key, value := rdn.Attributes[0].Type, rdn.Attributes[0].Value
		if key == "S" {
			key = "ST"
		}
		if _, repeated := id[key]; repeated || value == "" {
			return nil, fmt.Errorf("%q has %s twice, or without a value", name, key)
		}
		id[key] = value
	}
	for _, key := range []string{"C", "ST", "O"} {
		if id[key] == "" {
			return nil, fmt.Errorf("%q has no %s; C, ST and O have to be there", name, key)
		}
	}
	return id, nil
}

// welcome reports whether all attributes of one of the identities are in the
// subject of the certificate. wanted are the identities as somebody wrote them.
func welcome(identities []identity, wanted []string, cert *x509.Certificate) error {
	if len(identities) == 1 && len(identities[0]) == 0 {
		return nil
	}
	subject, err := parseName(cert.Subject.String())
	if err != nil {
		return fmt.Errorf("%w: the certificate's subject cannot be compared: %w", ErrIdentity, err)
	}
	for _, id := range identities {
		if id.subsetOf(subject) {
			return nil
		}
	}
	return fmt.Errorf("%w: %q, wanted %s", ErrIdentity, cert.Subject, named(wanted))
}

// maxNamed bounds how many identities an error names.
const maxNamed = 3

func named(wanted []string) string {
	var names []string
	for _, w := range wanted[:min(len(wanted), maxNamed)] {
		names = append(names, strconv.Quote(strings.TrimSpace(strings.TrimPrefix(w, subjectPrefix))))
	}
	text := strings.Join(names, " or ")
	if more := len(wanted) - len(names); more > 0 {
		text += fmt.Sprintf(" or one of %d more", more)
	}
	return text
}

func (id identity) subsetOf(subject identity) bool {
	for key, value := range id {
		if subject[key] != value {
			return false
		}
	}
	return true
}
