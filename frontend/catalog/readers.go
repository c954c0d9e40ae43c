// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"slices"

	"github.com/plombproject/plomb/frontend/catalog/apk"
	"github.com/plombproject/plomb/frontend/catalog/dpkg"
	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/frontend/catalog/golang"
	"github.com/plombproject/plomb/frontend/catalog/java"
	"github.com/plombproject/plomb/frontend/catalog/npm"
	"github.com/plombproject/plomb/frontend/catalog/python"
	"github.com/plombproject/plomb/frontend/catalog/rpm"
	"github.com/plombproject/plomb/frontend/catalog/rust"
)

type (
	reader = ecosystem.Reader
	owning = ecosystem.Owning
)

// readers is the table of everything that tells of packages.
func readers() []reader {
	return slices.Concat(
		dpkg.Readers(),
		apk.Readers(),
		rpm.Readers(),
		golang.Readers(),
		python.Readers(),
		npm.Readers(),
		rust.Readers(),
		java.Readers(),
	)
}

// ownings is the table of what tells which package a file belongs to.
func ownings() []owning {
	return slices.Concat(
		dpkg.Ownings(),
		apk.Ownings(),
		rpm.Ownings(),
	)
}
