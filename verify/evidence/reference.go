// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// A Reference is an image name, taken apart.
type Reference struct {
	// Name is the fully qualified repository with its tag, if it has one;
	// "latest" if there is neither tag nor digest.
	Name string
	// Digest is set if the reference has one.
	Digest digest.Digest
}

// ParseReference reads what a person types: `app`, `acme/app:v1`,
// `registry.example/app@sha256:…`. Short names are Docker Hub's, as everywhere.
func ParseReference(s string) (Reference, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return Reference{}, fmt.Errorf("%w: %q: %w", ErrReference, s, err)
	}
	var ref Reference
	if d, ok := named.(reference.Digested); ok {
		ref.Digest = d.Digest()
	}
	ref.Name = named.Name()
	if t, ok := named.(reference.Tagged); ok {
		ref.Name += ":" + t.Tag()
	} else if ref.Digest == "" {
		ref.Name += ":latest"
	}
	return ref, nil
}

// CheckQualified refuses a name whose registry depends on who reads it:
// containerd takes the part before the first slash for the host, everybody
// else takes `acme/app` for Docker Hub's.
func CheckQualified(name string) error {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return fmt.Errorf("%w: %q: %w", ErrReference, name, err)
	}
	if host, _, _ := strings.Cut(name, "/"); host != reference.Domain(named) {
		return fmt.Errorf("%w: %q does not name its registry; write %s", ErrReference, name, named)
	}
	return nil
}
