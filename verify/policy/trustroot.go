// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/base64"
	"net/url"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// trustRoot checks what can be said of a TrustRoot without believing in it. The
// step that makes a trusted root of it looks into keys and certificates.
func (c *compiler) trustRoot(s *spec.TrustRoot) {
	kinds := 0
	if r := s.Remote; r != nil {
		kinds++
		c.base64(r.At, "remote.root", r.Root)
		c.url(r.At, "remote.mirror", r.Mirror)
	}
	if r := s.Repository; r != nil {
		kinds++
		c.base64(r.At, "repository.root", r.Root)
		c.base64(r.At, "repository.mirrorFS", r.MirrorFS)
	}
	if k := s.SigstoreKeys; k != nil {
		kinds++
		c.sigstoreKeys(k)
	}
	if kinds != 1 {
		c.fault(s.At, "a TrustRoot needs exactly one of remote, repository and sigstoreKeys")
	}
}

func (c *compiler) sigstoreKeys(k *spec.SigstoreKeys) {
	if len(k.CertificateAuthorities)+len(k.TimestampAuthorities)+len(k.TLogs) == 0 {
		c.fault(k.At, "sigstoreKeys needs certificateAuthorities, timestampAuthorities or tLogs")
	}
	for _, ca := range k.CertificateAuthorities {
		c.url(ca.At, "certificateAuthorities.uri", ca.URI)
		c.base64(ca.At, "certificateAuthorities.certChain", ca.CertChain)
	}
	for _, tsa := range k.TimestampAuthorities {
		c.url(tsa.At, "timestampAuthorities.uri", tsa.URI)
		c.base64(tsa.At, "timestampAuthorities.certChain", tsa.CertChain)
	}
	for _, log := range append(append([]spec.TransparencyLog{}, k.TLogs...), k.CTLogs...) {
		c.url(log.At, "baseURL", log.BaseURL)
		c.base64(log.At, "publicKey", log.PublicKey)
	}
}

func (c *compiler) base64(at spec.Origin, field, value string) {
	if _, err := base64.StdEncoding.DecodeString(value); err != nil {
		c.fault(at, "%s is not base64: %v", field, err)
	}
}

func (c *compiler) url(at spec.Origin, field, value string) {
	if u, err := url.Parse(value); err != nil || u.Scheme == "" || u.Host == "" {
		c.fault(at, "%s is %q, want a URL", field, value)
	}
}
