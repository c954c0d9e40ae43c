// SPDX-License-Identifier: Apache-2.0

package spec

// ImagePolicy is the spec of an ImagePolicy: a ClusterImagePolicy and, beyond
// it, conditions. All conditions that are written have to hold for every
// manifest that the node could run, for claims of one satisfied authority.
type ImagePolicy struct {
	At                 Origin `yaml:"-"`
	ClusterImagePolicy `yaml:",inline"`

	// Rules are conditions in CEL or Rego v1.
	Rules []Rule `yaml:"rules,omitempty"`
	// Freshness limits ages.
	Freshness *Freshness `yaml:"freshness,omitempty"`
	// SignedIdentity compares the name that was signed with the name that is
	// asked for, in the words of containers-policy.json(5).
	SignedIdentity *SignedIdentity `yaml:"signedIdentity,omitempty"`
	// Byproducts that the signed provenance must name and the image carry.
	Byproducts []Byproduct `yaml:"byproducts,omitempty"`
	// Packages that must not be in the SBOM.
	Packages *Packages `yaml:"packages,omitempty"`
	// Materials says what the image may be made from.
	Materials *Materials `yaml:"materials,omitempty"`
	// Deny lists what is refused whatever the rest says.
	Deny *Deny `yaml:"deny,omitempty"`
	// Exceptions let an image pass that conditions refuse.
	Exceptions []Exception `yaml:"exceptions,omitempty"`
	// Undecided says what becomes of an image that could not be checked: deny
	// (the default) or allow-if-verified-before.
	Undecided string `yaml:"undecided,omitempty" enum:"deny,allow-if-verified-before"`
	// LazyLayers says whether an image with lazily loaded layers is welcome
	// if its manifest digest is signed: allow (the default) or deny.
	LazyLayers string `yaml:"lazyLayers,omitempty" enum:"allow,deny"`
}

// Notation is who may have made a Notary Project signature, as in a statement
// of its trustpolicy.json.
type Notation struct {
	At Origin `yaml:"-"`
	// Level is strict (the default), permissive or audit; skip is a static
	// pass, and refused here.
	Level string `yaml:"level,omitempty" enum:"strict,permissive,audit"`
	// TrustStores are ca:NAME, signingAuthority:NAME or tsa:NAME, folders
	// below /etc/plomb/notation/x509/TYPE/NAME.
	TrustStores []string `yaml:"trustStores,omitempty"`
	// Certificates are PEM certificate authorities that take the place of
	// trust stores of type ca; TimestampCertificates those of type tsa.
	Certificates          string `yaml:"certificates,omitempty"`
	TimestampCertificates string `yaml:"timestampCertificates,omitempty"`
	// TrustedIdentities are x509.subject: followed by a distinguished name,
	// or "*".
	TrustedIdentities []string `yaml:"trustedIdentities" required:"true"`
	// VerifyTimestamp is always (the default) or afterCertExpiry.
	VerifyTimestamp string `yaml:"verifyTimestamp,omitempty" enum:"always,afterCertExpiry"`
}

// Rule is one condition in a policy language: exactly one of CEL and Rego.
type Rule struct {
	At   Origin `yaml:"-"`
	Name string `yaml:"name" required:"true"`
	// CEL is an expression that must be true. docs/imagepolicy.md has its
	// variables and what it may cost.
	CEL string `yaml:"cel,omitempty"`
	// Rego is a module of package plomb, in Rego v1; data.plomb.allow must be
	// true and data.plomb.deny, a set of messages, empty.
	Rego string `yaml:"rego,omitempty"`
	// Lines is where the one or the other stands.
	Lines Lines `yaml:"-" of:"cel,rego"`
	// Message is the reason given where the rule does not hold.
	Message string `yaml:"message,omitempty"`
}

// Freshness limits ages, as durations such as 720h or 30d: at least one.
type Freshness struct {
	At Origin `yaml:"-"`
	// Build limits the time since the build finished, as the provenance says,
	// but no later than its trusted time of signing.
	Build string `yaml:"build,omitempty"`
	// Signature limits the time since the trusted time of signing.
	Signature string `yaml:"signature,omitempty"`
	// Scan limits the time since the vulnerability scan that an attestation of
	// type https://cosign.sigstore.dev/attestation/vuln/v1 reports.
	Scan string `yaml:"scan,omitempty"`
}

// SignedIdentity is how the signed name is compared.
type SignedIdentity struct {
	At Origin `yaml:"-"`
	// Type is matchExact, matchRepoDigestOrExact, matchRepository,
	// exactReference, exactRepository or remapIdentity.
	Type string `yaml:"type" required:"true" enum:"matchExact,matchRepoDigestOrExact,matchRepository,exactReference,exactRepository,remapIdentity"`
	// DockerReference is the name, with tag or digest, of exactReference.
	DockerReference string `yaml:"dockerReference,omitempty"`
	// DockerRepository is the name, without, of exactRepository.
	DockerRepository string `yaml:"dockerRepository,omitempty"`
	// Prefix is what remapIdentity replaces by SignedPrefix at the beginning
	// of the name that is asked for, by whole components.
	Prefix       string `yaml:"prefix,omitempty"`
	SignedPrefix string `yaml:"signedPrefix,omitempty"`
}

// Byproduct asks for a document that the signed provenance names by digest.
type Byproduct struct {
	At Origin `yaml:"-"`
	// PredicateType is a URI or one of cosign's short names, such as spdx.
	PredicateType string `yaml:"predicateType" required:"true"`
}

// Packages bans packages that the SBOM lists. An image without a signed SBOM
// is refused.
type Packages struct {
	At   Origin    `yaml:"-"`
	Deny []Package `yaml:"deny" required:"true"`
}

// Package is a package URL without version, and the versions that are meant.
type Package struct {
	At Origin `yaml:"-"`
	// PURL has the qualifiers, such as distro, that must be the same. For deb,
	// rpm and apk, no namespace means every distribution.
	PURL string `yaml:"purl" required:"true"`
	// Versions is a vers range (https://github.com/package-url/vers-spec)
	// without its scheme, such as ">=2.0-beta9|<2.17.1"; empty means all.
	Versions string `yaml:"versions,omitempty"`
	Reason   string `yaml:"reason,omitempty"`
}

// Materials says what the image may be made from.
type Materials struct {
	At Origin `yaml:"-"`
	// Complete demands that the provenance calls its materials complete.
	Complete bool `yaml:"complete,omitempty"`
	// BaseImages names a policy that every base image has to satisfy itself.
	BaseImages *BaseImages `yaml:"baseImages,omitempty"`
	// Deny lists materials by URI (glob) or digest.
	Deny []Material `yaml:"deny,omitempty"`
}

// BaseImages names the policy for base images.
type BaseImages struct {
	At     Origin `yaml:"-"`
	Policy string `yaml:"policy" required:"true"`
}

// Material is one that must not have been used: by URI or by digest.
type Material struct {
	At Origin `yaml:"-"`
	// URI is a glob: * is any run of characters but /, ** is any run, and all
	// else stands for itself.
	URI string `yaml:"uri,omitempty"`
	// Digest is sha256: or another algorithm of in-toto, such as gitCommit:,
	// and hexadecimal digits.
	Digest string `yaml:"digest,omitempty"`
	Reason string `yaml:"reason,omitempty"`
}

// Deny lists what is refused.
type Deny struct {
	At         Origin           `yaml:"-"`
	Digests    []DeniedDigest   `yaml:"digests,omitempty"`
	Identities []DeniedIdentity `yaml:"identities,omitempty"`
	// Serials are those of certificates, and Keys SHA-256 fingerprints.
	Serials []DeniedSerial `yaml:"serials,omitempty"`
	Keys    []DeniedKey    `yaml:"keys,omitempty"`
}

// DeniedDigest is an index, a manifest or a config.
type DeniedDigest struct {
	At     Origin `yaml:"-"`
	Digest string `yaml:"digest" required:"true"`
	Reason string `yaml:"reason,omitempty"`
}

// DeniedIdentity is a signer, by issuer, subject or both, who is not welcome for
// signatures of a time. A signature without a trusted time is in every window.
type DeniedIdentity struct {
	At       Origin `yaml:"-"`
	Identity `yaml:",inline"`
	// From is the first instant of the window (RFC 3339); left out: always.
	From string `yaml:"from,omitempty"`
	// Until is the first instant after it; left out: for ever.
	Until  string `yaml:"until,omitempty"`
	Reason string `yaml:"reason,omitempty"`
}

// DeniedSerial is the serial number of a certificate, hexadecimal.
type DeniedSerial struct {
	At     Origin `yaml:"-"`
	Serial string `yaml:"serial" required:"true"`
	Reason string `yaml:"reason,omitempty"`
}

// DeniedKey is the SHA-256 of a public key.
type DeniedKey struct {
	At     Origin `yaml:"-"`
	Key    string `yaml:"key" required:"true"`
	Reason string `yaml:"reason,omitempty"`
}

// Exception lets one image, or the images of a glob, pass some conditions
// until it expires. Authorities and Deny have no exceptions.
type Exception struct {
	At Origin `yaml:"-"`
	// Digest is that of an index, a manifest or a config.
	Digest string `yaml:"digest,omitempty"`
	// Image is a glob, as in images. Exactly one of Digest and Image.
	Image string `yaml:"image,omitempty"`
	// Conditions are names of rules, or freshness, signedIdentity,
	// byproducts, packages, materials, lazyLayers.
	Conditions []string `yaml:"conditions" required:"true"`
	Reason     string   `yaml:"reason" required:"true"`
	Ticket     string   `yaml:"ticket,omitempty"`
	// Expires is when the exception is over (RFC 3339).
	Expires string `yaml:"expires" required:"true"`
}
