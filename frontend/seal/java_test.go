// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// keystore writes a JKS keystore with a trusted certificate and a private key
// with a chain of two, each made at one of the times.
func keystore(cert, key time.Time) []byte {
	var b []byte
	text := func(s string) { b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...) }
	data := func(s string) { b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) }
	number := func(n uint32) { b = binary.BigEndian.AppendUint32(b, n) }
	number(jksMagic)
	number(jksVersion)
	number(2)
	number(jksCert)
	text("debian:some.pem")
	b = binary.BigEndian.AppendUint64(b, uint64(cert.UnixMilli()))
	text("X.509")
	data("a certificate")
	number(jksPrivateKey)
	text("mine")
	b = binary.BigEndian.AppendUint64(b, uint64(key.UnixMilli()))
	data("encrypted")
	number(2)
	for range 2 {
		text("X.509")
		data("another")
	}
	return lock(b)
}

func lock(body []byte) []byte { return append(bytes.Clone(body), jksDigest(body)...) }

func TestClampKeystoreTimes(t *testing.T) {
	require.Equal(t, keystore(early, clamp), clampKeystoreTimes(keystore(early, late), clamp))
	require.Equal(t, keystore(clamp, early), clampKeystoreTimes(keystore(late.Add(time.Millisecond), early), clamp))
	require.Equal(t, keystore(early, early), clampKeystoreTimes(keystore(early, early), clamp), "nothing to do")
}

func TestClampKeystoreTimesLeavesOthersAlone(t *testing.T) {
	good := keystore(late, late)
	body := good[:len(good)-20]
	change := func(at int, to byte) []byte {
		b := bytes.Clone(body)
		b[at] = to
		return lock(b)
	}
	for name, content := range map[string][]byte{
		"empty":            {},
		"short":            []byte("short"),
		"PKCS #12":         append([]byte{0x30, 0x82, 0, 0}, make([]byte, 200)...),
		"another password": append(bytes.Clone(body), make([]byte, 20)...),
		"another magic":    change(0, 0xce),
		"another version":  change(7, 1),
		"unknown entry":    change(15, 3),
		"entries missing":  change(11, 200),
		"entries over":     change(11, 1),
		"cut off":          lock(body[:len(body)-1]),
		"something behind": lock(append(bytes.Clone(body), 0)),
		"a huge length":    change(16, 0xff),
	} {
		t.Run(name, func(t *testing.T) {
			was := bytes.Clone(content)
			require.Equal(t, was, clampKeystoreTimes(content, clamp))
			require.Equal(t, was, content, "the argument is somebody else's")
		})
	}
}

func TestScrubKeystore(t *testing.T) {
	const p = "etc/ssl/certs/java/cacerts"
	s := newStep(t, nil)
	s.upper.file(p, string(keystore(late, late))).all(late)
	report, _ := s.sealed()
	require.Equal(t, []Scrubbed{{"/" + p, "java-keystore"}}, report.Scrubbed)
	require.Equal(t, string(keystore(clamp, clamp)), s.out.read(p))
}

func FuzzClampKeystoreTimes(f *testing.F) {
	f.Add(keystore(early, late))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, in := range [][]byte{content, lock(content)} {
			got := clampKeystoreTimes(in, clamp)
			require.Len(t, got, len(in))
			require.Equal(t, got, clampKeystoreTimes(got, clamp), "once is enough")
		}
	})
}
