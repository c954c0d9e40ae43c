// SPDX-License-Identifier: Apache-2.0

package notation

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/plombproject/plomb/internal/limit"
)

// The types of trust stores (trust-store-trust-policy.md, "Trust Store").
const (
	TypeCA               = "ca"
	TypeSigningAuthority = "signingAuthority"
	TypeTSA              = "tsa"
)

const (
	// maxFile bounds a file of certificates (1 MiB) and maxCRL a revocation
	// list (32 MiB: large public authorities have lists of several).
	maxFile = 1 << 20
	maxCRL  = 32 << 20
	// maxFiles bounds how many files a folder may hold.
	maxFiles = 256
)

// Stores are trust stores by name, as Options takes them.
type Stores struct {
	CAs, SigningAuthorities, TSAs map[string][]*x509.Certificate
}

// storeName is what a trust store may be called: "alphanumeric characters,
// underscore, dot and hyphen". It is part of a path.
var storeName = regexp.MustCompile(`^[a-zA-Z0-9_-][a-zA-Z0-9_.-]*$`)

// CheckStoreNames reports names that LoadStores would not look for, as
// ErrStore. Whether there are such stores, only LoadStores can tell.
func CheckStoreNames(names []string) error {
	for _, full := range names {
		if _, _, err := parseStoreName(full); err != nil {
			return err
		}
	}
	return nil
}

func parseStoreName(full string) (kind, name string, err error) {
	kind, name, _ = strings.Cut(full, ":")
	known := kind == TypeCA || kind == TypeSigningAuthority || kind == TypeTSA
	if !known || !storeName.MatchString(name) {
		return "", "", fmt.Errorf("%w: %q; want ca:NAME, signingAuthority:NAME or tsa:NAME", ErrStore, full)
	}
	return kind, name, nil
}

// CheckCertificates reports certificates that cannot stand in a store of that
// type, as ErrStore: see NewVerifier.
func CheckCertificates(kind string, certs []*x509.Certificate) error {
	return stores{"policy": certs}.check(kind)
}

// LoadStores reads the stores ca:NAME, signingAuthority:NAME and tsa:NAME from
// the folders TYPE/NAME below dir. As in the specification, everything in such
// a folder is a certificate, in PEM or DER, and there are neither folders nor
// symbolic links; names that start with a dot are left alone.
func LoadStores(dir string, names []string) (Stores, error) {
	s := Stores{CAs: map[string][]*x509.Certificate{}, SigningAuthorities: map[string][]*x509.Certificate{}, TSAs: map[string][]*x509.Certificate{}}
	into := map[string]map[string][]*x509.Certificate{TypeCA: s.CAs, TypeSigningAuthority: s.SigningAuthorities, TypeTSA: s.TSAs}
	for _, full := range names {
		kind, name, err := parseStoreName(full)
		if err != nil {
			return Stores{}, err
		}
		err = eachFile(filepath.Join(dir, kind, name), []string{".pem", ".crt", ".cer"}, maxFile, func(data []byte) error {
			certs, err := ParseCertificates(data)
			into[kind][name] = append(into[kind][name], certs...)
			return err
		})
		if err != nil {
			return Stores{}, fmt.Errorf("%w %s: %w", ErrStore, full, err)
		}
		if err := stores(into[kind]).check(kind); err != nil {
			return Stores{}, err
		}
		if len(into[kind][name]) == 0 {
			return Stores{}, fmt.Errorf("%w: %s holds no certificate; put one into %s", ErrStore, full, filepath.Join(dir, kind, name))
		}
	}
	return s, nil
}

// LoadCRLs reads the revocation lists (*.crl, in PEM or DER) in the folder
// dir. There are none if there is no such folder.
func LoadCRLs(dir string) ([]*x509.RevocationList, error) {
	var lists []*x509.RevocationList
	err := eachFile(dir, []string{".crl"}, maxCRL, func(data []byte) error {
		if block, _ := pem.Decode(data); block != nil {
			data = block.Bytes
		}
		list, err := x509.ParseRevocationList(data)
		lists = append(lists, list)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: revocation lists: %w", ErrStore, err)
	}
	return lists, nil
}

// eachFile reads the files of a folder, in the order of their names.
func eachFile(dir string, endings []string, max int64, read func([]byte) error) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder (symbolic links are not followed)", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > maxFiles {
		return fmt.Errorf("%s has %d files, at most %d are read", dir, len(entries), maxFiles)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		switch {
		case strings.HasPrefix(entry.Name(), "."):
			continue
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is not a regular file; put the file itself there", path)
		case !slices.Contains(endings, filepath.Ext(path)):
			return fmt.Errorf("%s does not end in %s; rename or remove it", path, strings.Join(endings, ", "))
		}
		data, err := limit.ReadFile(path, max)
		if err != nil {
			return err
		}
		if err := read(data); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// ParseCertificates reads certificates in PEM, or in DER. Anything else
// between PEM blocks than comments is refused.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	if !bytes.Contains(data, []byte("-----BEGIN")) {
		certs, err := x509.ParseCertificates(data)
		if err == nil && len(certs) == 0 {
			err = errors.New("no certificate")
		}
		return certs, err
	}
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); ; block, rest = pem.Decode(rest) {
		switch {
		case block == nil && (len(certs) == 0 || bytes.Contains(rest, []byte("-----BEGIN"))):
			return nil, errors.New("broken PEM")
		case block == nil:
			return certs, nil
		case block.Type != "CERTIFICATE":
			return nil, fmt.Errorf("a PEM block %q among certificates", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
}

// stores are the trust stores of one type.
type stores map[string][]*x509.Certificate

func (s stores) names() []string { return slices.Sorted(maps.Keys(s)) }

func (s stores) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, certs := range s {
		for _, cert := range certs {
			pool.AddCert(cert)
		}
	}
	return pool
}

// check: certificates of a trust store are authorities or self-signed, those
// of a timestamp authority are roots, and no store is empty.
func (s stores) check(kind string) error {
	for _, name := range s.names() {
		if len(s[name]) == 0 {
			return fmt.Errorf("%w: %s:%s holds no certificate", ErrStore, kind, name)
		}
		for _, cert := range s[name] {
			if err := anchor(cert, kind); err != nil {
				return fmt.Errorf("%w: %s:%s: %q: %w", ErrStore, kind, name, cert.Subject, err)
			}
		}
	}
	return nil
}

func anchor(cert *x509.Certificate, kind string) error {
	selfSigned := bytes.Equal(cert.RawSubject, cert.RawIssuer) &&
		cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
	switch {
	case kind == TypeTSA && !(cert.IsCA && selfSigned):
		return errors.New("not the certificate of a root authority")
	case !cert.IsCA && !selfSigned:
		return errors.New("neither the certificate of an authority nor self-signed")
	}
	return nil
}
