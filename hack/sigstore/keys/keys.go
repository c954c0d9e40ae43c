// SPDX-License-Identifier: Apache-2.0

// Package keys is the folder where the local Sigstore keeps what must survive
// a restart: one PEM file per authority, holding its private key (PKCS#8) and,
// for authorities that have one, its certificate chain from the key's own
// certificate to the root.
//
// The folder is 0700 and every file 0600. A file is written to a temporary
// name, synced and linked to its final name, so that a reader sees a whole
// file or none, and of two processes that start at the same moment one wins
// and the other reads what the winner wrote. The keys are not encrypted: they
// sign test data only.
package keys

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

var (
	// ErrMalformed is returned for a key file that does not hold a private key
	// followed by certificates, and for an empty secret.
	ErrMalformed = errors.New("key file is malformed")
	// ErrTooOpen is returned for a key folder that others may enter.
	ErrTooOpen = errors.New("key folder is open to other users")
)

const (
	privateKeyType  = "PRIVATE KEY"
	certificateType = "CERTIFICATE"
)

// Pair is a private key and the certificates that belong to it.
type Pair struct {
	Signer crypto.Signer
	// Chain runs from the certificate of Signer to the root; it is empty for a
	// bare key.
	Chain []*x509.Certificate
}

// Dir is an open key folder.
type Dir struct{ path string }

// Open makes the folder if it is not there and checks that it is private.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make key folder: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("look at key folder: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %o; run `chmod 700 %s`", ErrTooOpen, path, mode, path)
	}
	return &Dir{path: path}, nil
}

// Pair reads the named pair, or makes it with fresh and keeps it.
func (d *Dir) Pair(name string, fresh func() (Pair, error)) (Pair, error) {
	path := filepath.Join(d.path, name+".pem")
	data, err := d.loadOrCreate(path, func() ([]byte, error) {
		pair, err := fresh()
		if err != nil {
			return nil, err
		}
		return encode(pair)
	})
	if err != nil {
		return Pair{}, err
	}
	return decode(path, data)
}

// Existing reads the named pair and fails, with an error that is
// os.ErrNotExist, if nobody made it yet.
func (d *Dir) Existing(name string) (Pair, error) {
	path := filepath.Join(d.path, name+".pem")
	data, err := os.ReadFile(path)
	if err != nil {
		return Pair{}, fmt.Errorf("read key: %w", err)
	}
	return decode(path, data)
}

// Secret reads the named text, or keeps what fresh returns. An empty file is
// refused: compared with what a caller forgot to send, it would let them in.
func (d *Dir) Secret(name string, fresh func() (string, error)) (string, error) {
	path := filepath.Join(d.path, name)
	data, err := d.loadOrCreate(path, func() ([]byte, error) {
		text, err := fresh()
		return []byte(text), err
	})
	if err == nil && len(data) == 0 {
		return "", fmt.Errorf("%w: %s is empty; delete it to have a new one made", ErrMalformed, path)
	}
	return string(data), err
}

func (d *Dir) loadOrCreate(path string, fresh func() ([]byte, error)) ([]byte, error) {
	data, err := os.ReadFile(path)
	if !errors.Is(err, os.ErrNotExist) {
		return data, err
	}
	if data, err = fresh(); err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	err = writeWhole(path, data, 0o600, os.Link)
	if errors.Is(err, os.ErrExist) {
		// Another process was first; its key is the one to use.
		return os.ReadFile(path)
	}
	return data, err
}

// Replace writes data to path so that a reader sees the old file or the new
// one, never a part.
func Replace(path string, data []byte, mode os.FileMode) error {
	return writeWhole(path, data, mode, os.Rename)
}

// writeWhole writes beside path and publishes with a link, which keeps a file
// that is already there, or with a rename, which replaces it.
func writeWhole(path string, data []byte, mode os.FileMode, publish func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := publish(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func encode(pair Pair) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(pair.Signer)
	if err != nil {
		return nil, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: privateKeyType, Bytes: der})
	for _, cert := range pair.Chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: cert.Raw})...)
	}
	return out, nil
}

func decode(path string, data []byte) (Pair, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != privateKeyType {
		return Pair{}, fmt.Errorf("%w: %s does not start with a private key; delete it to have a new one made", ErrMalformed, path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Pair{}, fmt.Errorf("%w: %s: %w", ErrMalformed, path, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return Pair{}, fmt.Errorf("%w: %s: a %T cannot sign", ErrMalformed, path, key)
	}
	pair := Pair{Signer: signer}
	for block, rest = pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Pair{}, fmt.Errorf("%w: %s: %w", ErrMalformed, path, err)
		}
		pair.Chain = append(pair.Chain, cert)
	}
	return pair, nil
}
