// SPDX-License-Identifier: Apache-2.0

package spec

// TrustRoot is the spec of a TrustRoot: exactly one of the three.
type TrustRoot struct {
	At Origin `yaml:"-"`
	// Remote is a TUF repository. It is never asked during a verification:
	// `plomb trust update` brings it, see package verify/trust/tuf.
	Remote *Remote `yaml:"remote,omitempty"`
	// Repository is a TUF repository in the document itself.
	Repository *Repository `yaml:"repository,omitempty"`
	// SigstoreKeys are keys and certificates of one's own.
	SigstoreKeys *SigstoreKeys `yaml:"sigstoreKeys,omitempty"`
}

// Remote is a TUF mirror and the root to begin with.
type Remote struct {
	At Origin `yaml:"-"`
	// Root is the initial root.json, in base64.
	Root   string `yaml:"root" required:"true"`
	Mirror string `yaml:"mirror" required:"true"`
	// Targets is the folder of the targets; "targets" by default.
	Targets           string `yaml:"targets,omitempty"`
	TrustedRootTarget string `yaml:"trustedRootTarget,omitempty"`
}

// Repository is a TUF repository for use without a network.
type Repository struct {
	At   Origin `yaml:"-"`
	Root string `yaml:"root" required:"true"`
	// MirrorFS is the tarred and gzipped repository, in base64.
	MirrorFS          string `yaml:"mirrorFS" required:"true"`
	Targets           string `yaml:"targets,omitempty"`
	TrustedRootTarget string `yaml:"trustedRootTarget,omitempty"`
}

// SigstoreKeys are the parts of a trusted root. It needs certificate authorities
// or timestamp authorities.
type SigstoreKeys struct {
	At                     Origin                 `yaml:"-"`
	CertificateAuthorities []CertificateAuthority `yaml:"certificateAuthorities,omitempty"`
	TLogs                  []TransparencyLog      `yaml:"tLogs,omitempty"`
	CTLogs                 []TransparencyLog      `yaml:"ctLogs,omitempty"`
	TimestampAuthorities   []CertificateAuthority `yaml:"timestampAuthorities,omitempty"`
}

// CertificateAuthority is a chain, its last certificate the root.
type CertificateAuthority struct {
	At      Origin            `yaml:"-"`
	Subject DistinguishedName `yaml:"subject" required:"true"`
	URI     string            `yaml:"uri" required:"true"`
	// CertChain is PEM, in base64.
	CertChain string `yaml:"certChain" required:"true"`
}

// DistinguishedName is the subject of a root certificate.
type DistinguishedName struct {
	At           Origin `yaml:"-"`
	Organization string `yaml:"organization" required:"true"`
	CommonName   string `yaml:"commonName" required:"true"`
}

// TransparencyLog is one log with its key.
type TransparencyLog struct {
	At            Origin `yaml:"-"`
	BaseURL       string `yaml:"baseURL" required:"true"`
	HashAlgorithm string `yaml:"hashAlgorithm" required:"true"`
	// PublicKey is PEM, in base64.
	PublicKey string `yaml:"publicKey" required:"true"`
}
