// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	sigstoretuf "github.com/sigstore/sigstore-go/pkg/tuf"
)

// Names of the instances whose repositories are known.
const (
	// PublicGood is the Sigstore that the Linux Foundation runs for everybody.
	PublicGood = "public-good"
	// GitHub is the Sigstore of attestations for private repositories.
	GitHub = "github"
)

// Known is where a repository is, and what trust in it begins with.
type Known struct {
	Mirror string
	// Root is nil where plomb has none to vouch for.
	Root []byte
}

// known is empty for other names.
func known(name string) Known {
	switch name {
	case PublicGood:
		return Known{Mirror: sigstoretuf.DefaultMirror, Root: sigstoretuf.DefaultRoot()}
	case GitHub:
		return Known{Mirror: "https://tuf-repo.github.com"}
	}
	return Known{}
}
