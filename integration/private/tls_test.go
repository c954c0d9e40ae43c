// SPDX-License-Identifier: Apache-2.0

//go:build integration

package private

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An authority issues certificates; it is in no system's store.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.key, a.cert = a.issue("ca", &x509.Certificate{
		Subject: pkix.Name{CommonName: "private authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// issue writes NAME.crt and NAME.key.
func (a *authority) issue(name string, template *x509.Certificate) (crypto.Signer, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(a.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	data, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	write(a.t, a.path(name+".crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(a.t, a.path(name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: data})))
	return key, cert
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// server is the part of a registry's configuration for TLS.
func (a *authority) server(more string) string {
	a.t.Helper()
	a.issue("server", &x509.Certificate{
		Subject: pkix.Name{CommonName: "registry"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return fmt.Sprintf("  tls: {certificate: %q, key: %q%s}\n", a.path("server.crt"), a.path("server.key"), more)
}

// at is a hosts.toml with settings for a registry itself.
func at(host, settings string) string {
	return fmt.Sprintf("server = \"https://%s\"\n%s", host, settings)
}

func TestPrivateAuthority(t *testing.T) {
	i := push(t)
	ca, other := newAuthority(t), newAuthority(t)
	host := withPasswords(t, ca.server(""))
	trusted := hosts(t, map[string]string{host: at(host, fmt.Sprintf("  ca = %q\n", ca.path("ca.crt")))})
	static := "static: " + login(t, host, password)
	newNode(t, i, static, trusted).admits(host)
	newNode(t, i, "static: "+login(t, host, wrong), trusted).denied(host)
	newNode(t, i, "", trusted).denied(host)
	// In a table of the registry's own name, as many write it.
	table := hosts(t, map[string]string{host: fmt.Sprintf("server = \"https://%[1]s\"\n[host.\"https://%[1]s\"]\n  capabilities = [\"pull\", \"resolve\"]\n  ca = %[2]q\n", host, ca.path("ca.crt"))})
	newNode(t, i, static, table).admits(host)

	stranger := hosts(t, map[string]string{host: at(host, fmt.Sprintf("  ca = %q\n", other.path("ca.crt")))})
	reason, exit := newNode(t, i, static, stranger).verify(host, i.signed)
	require.Equal(t, 1, exit)
	require.Contains(t, reason, "unknown authority", "a password is not given to whoever pretends to be the registry")
}

func TestClientCertificates(t *testing.T) {
	i := push(t)
	ca, other := newAuthority(t), newAuthority(t)
	host := registry(t, ca.server(fmt.Sprintf(", clientcas: [%q]", ca.path("ca.crt"))))
	client := &x509.Certificate{Subject: pkix.Name{CommonName: "node"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	ca.issue("client", client)
	other.issue("client", client)
	with := func(a *authority) string {
		return hosts(t, map[string]string{host: at(host, fmt.Sprintf("  ca = %q\n  client = [[%q, %q]]\n", ca.path("ca.crt"), a.path("client.crt"), a.path("client.key")))})
	}
	newNode(t, i, "", with(ca)).admits(host)
	for name, folder := range map[string]string{
		"a stranger's": with(other),
		"none":         hosts(t, map[string]string{host: at(host, fmt.Sprintf("  ca = %q\n", ca.path("ca.crt")))}),
	} {
		reason, exit := newNode(t, i, "", folder).verify(host, i.signed)
		require.Equal(t, 1, exit, name)
		require.Contains(t, reason, "certificate", name)
	}
}

// TestMirror: the mirror is asked first, and has a password of its own.
func TestMirror(t *testing.T) {
	i := push(t)
	mirror, origin := withPasswords(t, ""), withPasswords(t, "")
	const name = "registry.example"
	with := func(capabilities string) string {
		return hosts(t, map[string]string{name: fmt.Sprintf(
			"server = \"http://%s\"\n[host.\"http://%s\"]\n  capabilities = [%s]\n", origin, mirror, capabilities)})
	}
	through := with(`"pull", "resolve", "referrers"`)
	newNode(t, i, "static: "+login(t, mirror, password), through).admits(name)
	// Where the mirror lets nobody in, the origin is asked.
	newNode(t, i, "static: "+login(t, origin, password), through).admits(name)
	// The password for the name is for neither: it would go to whoever runs them.
	newNode(t, i, "static: "+login(t, name, password), through).denied(name)
	newNode(t, i, "static: "+login(t, mirror, wrong), through).denied(name)

	// A mirror that is not said to have referrers is not asked for them, and the
	// origin lets nobody in: what is in the image itself can be found.
	partly := newNode(t, i, "static: "+login(t, mirror, password), with(`"pull", "resolve"`))
	reason, exit := partly.verify(name, i.signed)
	require.Zero(t, exit, reason)
	reason, exit = partly.verify(name, i.unsigned)
	require.Equal(t, 1, exit)
	require.Contains(t, reason, "code access: ")
}
