// SPDX-License-Identifier: Apache-2.0

package spec

// ClusterImagePolicy is the spec of a ClusterImagePolicy, and the part of an
// ImagePolicy that is the same.
type ClusterImagePolicy struct {
	At Origin `yaml:"-"`
	// Images says which images the policy is about: any of the globs.
	Images []ImagePattern `yaml:"images" required:"true"`
	// Authorities are alternatives: one of them has to be satisfied.
	Authorities []Authority `yaml:"authorities" required:"true"`
	// Policy is judged over all authorities that are satisfied, once one is.
	Policy *Policy `yaml:"policy,omitempty"`
	// Mode is enforce (the default) or warn.
	Mode string `yaml:"mode,omitempty" enum:"enforce,warn"`
	// Match needs the pod, which a node does not see: such a policy is
	// undecided.
	Match []MatchResource `yaml:"match,omitempty" pod:"true"`
}

// ImagePattern is one glob over image names.
type ImagePattern struct {
	At   Origin `yaml:"-"`
	Glob string `yaml:"glob" required:"true"`
}

// Authority is one way to satisfy a policy: exactly one of Key, Keyless,
// Static and, in an ImagePolicy, Notation.
type Authority struct {
	At Origin `yaml:"-"`
	// Name is for messages and for Policy; authority-N by default.
	Name    string   `yaml:"name,omitempty"`
	Key     *Key     `yaml:"key,omitempty"`
	Keyless *Keyless `yaml:"keyless,omitempty"`
	Static  *Static  `yaml:"static,omitempty"`
	// Notation wants a Notary Project signature. ImagePolicy only.
	Notation *Notation `yaml:"notation,omitempty" only:"ImagePolicy"`
	// Sources are further repositories that evidence may lie in.
	Sources []Source `yaml:"source,omitempty"`
	// CTLog asks for an entry in a transparency log.
	CTLog *CTLog `yaml:"ctlog,omitempty"`
	// Attestations must all be there. With them, no signature is needed.
	Attestations []Attestation `yaml:"attestations,omitempty"`
	// RFC3161Timestamp asks for a timestamp, and makes the log optional.
	RFC3161Timestamp *RFC3161Timestamp `yaml:"rfc3161timestamp,omitempty"`
	// SignatureFormat is legacy or bundle; empty takes both.
	SignatureFormat string `yaml:"signatureFormat,omitempty" enum:"legacy,bundle"`
}

// Key is a public key, or several: any of them may have signed.
type Key struct {
	At Origin `yaml:"-"`
	// Data is one or several PEM blocks.
	Data string `yaml:"data,omitempty"`
	// SecretRef and KMS need a cluster and a key service: refused by name.
	SecretRef *SecretRef `yaml:"secretRef,omitempty" refused:"a node has no secrets of a cluster, write the PEM into data"`
	KMS       string     `yaml:"kms,omitempty" refused:"no key service is asked during a verification, write the public key into data"`
	// HashAlgorithm is sha256 (the default), sha384 or sha512.
	HashAlgorithm string `yaml:"hashAlgorithm,omitempty"`
}

// SecretRef names a Kubernetes secret.
type SecretRef struct {
	At        Origin `yaml:"-"`
	Name      string `yaml:"name,omitempty"`
	Namespace string `yaml:"namespace,omitempty"`
}

// Keyless is a certificate of a Fulcio-like authority.
type Keyless struct {
	At Origin `yaml:"-"`
	// URL is the certificate authority as the trusted root names it.
	URL        string     `yaml:"url,omitempty"`
	Identities []Identity `yaml:"identities" required:"true"`
	// CACert takes the place of the trusted root's authorities.
	CACert *Key `yaml:"ca-cert,omitempty"`
	// TrustRootRef names the TrustRoot document to believe.
	TrustRootRef string `yaml:"trustRootRef,omitempty"`
	// InsecureIgnoreSCT does without certificate transparency.
	InsecureIgnoreSCT bool `yaml:"insecureIgnoreSCT,omitempty"`
}

// Identity is one welcome signer: issuer and subject, each exactly or by
// regular expression.
type Identity struct {
	At            Origin `yaml:"-"`
	Issuer        string `yaml:"issuer,omitempty"`
	Subject       string `yaml:"subject,omitempty"`
	IssuerRegExp  string `yaml:"issuerRegExp,omitempty"`
	SubjectRegExp string `yaml:"subjectRegExp,omitempty"`
}

// Static admits or refuses without evidence.
type Static struct {
	At      Origin `yaml:"-"`
	Action  string `yaml:"action" required:"true" enum:"pass,fail"`
	Message string `yaml:"message,omitempty"`
}

// Source is a repository that evidence may lie in.
type Source struct {
	At  Origin `yaml:"-"`
	OCI string `yaml:"oci,omitempty"`
	// SignaturePullSecrets need the pod's namespace: undecided on a node.
	SignaturePullSecrets []SecretRef `yaml:"signaturePullSecrets,omitempty" pod:"true"`
	// TagPrefix stands before the names of cosign's tags.
	TagPrefix *string `yaml:"tagPrefix,omitempty"`
}

// CTLog is a transparency log.
type CTLog struct {
	At           Origin `yaml:"-"`
	URL          string `yaml:"url,omitempty"`
	TrustRootRef string `yaml:"trustRootRef,omitempty"`
}

// RFC3161Timestamp is a timestamp authority.
type RFC3161Timestamp struct {
	At           Origin `yaml:"-"`
	TrustRootRef string `yaml:"trustRootRef,omitempty"`
}

// Attestation asks for a verified attestation of a predicate type, for which
// the policy, if there is one, holds.
type Attestation struct {
	At Origin `yaml:"-"`
	// Name is for Policy of the whole document.
	Name string `yaml:"name" required:"true"`
	// PredicateType is a URI or one of cosign's short names, such as spdxjson.
	PredicateType string  `yaml:"predicateType" required:"true"`
	Policy        *Policy `yaml:"policy,omitempty"`
}

// Policy is a rule in CUE or Rego. Exactly one of Data, Remote and
// ConfigMapRef; only Data can be had on a node.
type Policy struct {
	At           Origin        `yaml:"-"`
	Type         string        `yaml:"type" required:"true" enum:"cue,rego"`
	Data         string        `yaml:"data,omitempty"`
	Lines        Lines         `yaml:"-" of:"data"`
	Remote       *RemotePolicy `yaml:"remote,omitempty" refused:"nothing but evidence is fetched during a verification, write the policy into data"`
	ConfigMapRef *ConfigMapRef `yaml:"configMapRef,omitempty" refused:"a node has no config maps of a cluster, write the policy into data"`
	// FetchConfigFile puts the image config before Policy of the whole.
	FetchConfigFile bool `yaml:"fetchConfigFile,omitempty"`
	// The others would put the pod before it.
	IncludeSpec       bool `yaml:"includeSpec,omitempty" pod:"true"`
	IncludeObjectMeta bool `yaml:"includeObjectMeta,omitempty" pod:"true"`
	IncludeTypeMeta   bool `yaml:"includeTypeMeta,omitempty" pod:"true"`
}

// RemotePolicy is a policy behind a URL.
type RemotePolicy struct {
	At        Origin `yaml:"-"`
	URL       string `yaml:"url,omitempty"`
	Sha256sum string `yaml:"sha256sum,omitempty"`
}

// ConfigMapRef names a Kubernetes config map.
type ConfigMapRef struct {
	At        Origin `yaml:"-"`
	Name      string `yaml:"name,omitempty"`
	Namespace string `yaml:"namespace,omitempty"`
	Key       string `yaml:"key,omitempty"`
}

// MatchResource selects Kubernetes resources.
type MatchResource struct {
	At       Origin         `yaml:"-"`
	Group    string         `yaml:"group,omitempty"`
	Version  string         `yaml:"version,omitempty"`
	Resource string         `yaml:"resource,omitempty"`
	Selector *LabelSelector `yaml:"selector,omitempty"`
}

// LabelSelector selects Kubernetes resources by their labels.
type LabelSelector struct {
	At               Origin            `yaml:"-"`
	MatchLabels      map[string]string `yaml:"matchLabels,omitempty"`
	MatchExpressions []LabelExpression `yaml:"matchExpressions,omitempty"`
}

// LabelExpression is one demand on a label.
type LabelExpression struct {
	At       Origin   `yaml:"-"`
	Key      string   `yaml:"key" required:"true"`
	Operator string   `yaml:"operator" required:"true" enum:"In,NotIn,Exists,DoesNotExist"`
	Values   []string `yaml:"values,omitempty"`
}
