// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"time"
	"unicode/utf16"
)

// A Java keystore of type JKS (sun.security.provider.JavaKeyStore) is a magic,
// a version, the entries with the time each was made, and a SHA-1 over a
// password and all of it.
const (
	jksMagic      = 0xfeedfeed
	jksVersion    = 2
	jksPrivateKey = 1
	jksCert       = 2
	jksSalt       = "Mighty Aphrodite"
	// jksPassword is what the keystores of trusted authorities are locked
	// with everywhere: their content is public.
	jksPassword = "changeit"
)

var errNotJKS = errors.New("not a Java keystore")

// clampKeystoreTimes lowers the creation times of the entries of a JKS
// keystore to t. What it cannot read, or is locked with another password,
// stays as it is.
func clampKeystoreTimes(content []byte, t time.Time) []byte {
	if len(content) < sha1.Size {
		return content
	}
	body := bytes.Clone(content[:len(content)-sha1.Size])
	if !bytes.Equal(jksDigest(body), content[len(body):]) {
		return content
	}
	r := jksReader{rest: body}
	if r.number(4) != jksMagic || r.number(4) != jksVersion {
		return content
	}
	for n := r.number(4); n > 0 && r.err == nil; n-- {
		r.entry(uint64(t.UnixMilli()))
	}
	if r.err != nil || len(r.rest) > 0 {
		return content
	}
	return append(body, jksDigest(body)...)
}

func jksDigest(body []byte) []byte {
	h := sha1.New()
	for _, c := range utf16.Encode([]rune(jksPassword)) {
		h.Write(binary.BigEndian.AppendUint16(nil, c))
	}
	h.Write([]byte(jksSalt))
	h.Write(body)
	return h.Sum(nil)
}

// A jksReader walks through a keystore; after an error it stands still.
type jksReader struct {
	rest []byte
	err  error
}

// entry reads one entry and lowers its time, in milliseconds, to limit.
func (r *jksReader) entry(limit uint64) {
	tag := r.number(4)
	r.skip(r.number(2)) // alias
	if at := r.take(8); len(at) == 8 && binary.BigEndian.Uint64(at) > limit {
		binary.BigEndian.PutUint64(at, limit)
	}
	certs := uint64(1)
	switch tag {
	case jksPrivateKey:
		r.skip(r.number(4)) // the key, encrypted
		certs = r.number(4)
	case jksCert:
	default:
		r.err = errNotJKS
	}
	for ; certs > 0 && r.err == nil; certs-- {
		r.skip(r.number(2)) // the certificate's type
		r.skip(r.number(4)) // the certificate
	}
}

// take returns the next n bytes, which are those of the keystore itself.
func (r *jksReader) take(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.rest)) {
		r.err = errNotJKS
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *jksReader) skip(n uint64) { r.take(n) }

// number reads a big-endian number of some bytes.
func (r *jksReader) number(bytes uint64) uint64 {
	var n uint64
	for _, b := range r.take(bytes) {
		n = n<<8 | uint64(b)
	}
	return n
}
