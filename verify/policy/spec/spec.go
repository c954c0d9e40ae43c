// SPDX-License-Identifier: Apache-2.0

// Package spec has the policy documents as they are written, and reads them
// strictly: what is not understood is an error with file and line. What the
// documents mean is the business of package policy.
//
// ClusterImagePolicy (policy.sigstore.dev, v1beta1 and v1alpha1) and TrustRoot
// (v1alpha1) follow https://github.com/sigstore/policy-controller; ImagePolicy
// is plomb's own, docs/imagepolicy.md is its specification.
package spec

import "errors"

var (
	// ErrInvalid reports a document that cannot be read or does not make sense.
	ErrInvalid = errors.New("invalid policy")

	// ErrUnsupported reports a field that the schema has and that is not
	// enforced. Ignoring it could admit what it was written to keep out.
	ErrUnsupported = errors.New("unsupported policy")
)

// An Origin is where something was written: file:line.
type Origin string

// The kinds of documents, and the API versions that they come in. Versions of
// one kind mean the same.
const (
	KindClusterImagePolicy = "ClusterImagePolicy"
	KindTrustRoot          = "TrustRoot"
	KindImagePolicy        = "ImagePolicy"

	VersionImagePolicy = "plombproject.github.io/v1"
)

// A Document is one policy document: exactly one of the pointers is set.
type Document struct {
	At Origin
	// Name is metadata.name.
	Name               string
	ClusterImagePolicy *ClusterImagePolicy
	ImagePolicy        *ImagePolicy
	TrustRoot          *TrustRoot
}

// Metadata is what all documents have. Only the name means something; the other
// fields are those that `kubectl get -o yaml` prints.
type Metadata struct {
	At                Origin            `yaml:"-"`
	Name              string            `yaml:"name" required:"true"`
	Labels            map[string]string `yaml:"labels,omitempty"`
	Annotations       map[string]string `yaml:"annotations,omitempty"`
	Namespace         Ignored           `yaml:"namespace,omitempty"`
	UID               Ignored           `yaml:"uid,omitempty"`
	CreationTimestamp Ignored           `yaml:"creationTimestamp,omitempty"`
	ResourceVersion   Ignored           `yaml:"resourceVersion,omitempty"`
	Generation        Ignored           `yaml:"generation,omitempty"`
	ManagedFields     Ignored           `yaml:"managedFields,omitempty"`
	SelfLink          Ignored           `yaml:"selfLink,omitempty"`
	Finalizers        Ignored           `yaml:"finalizers,omitempty"`
	OwnerReferences   Ignored           `yaml:"ownerReferences,omitempty"`
}

// Ignored is a field that means nothing outside a cluster, whatever it holds.
type Ignored struct{}
