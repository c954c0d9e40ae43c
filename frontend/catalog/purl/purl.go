// SPDX-License-Identifier: Apache-2.0

// Package purl writes package URLs in their canonical form
// (https://github.com/package-url/purl-spec), which the library that it uses
// leaves to its callers to ask for.
package purl

import "github.com/package-url/packageurl-go"

// New returns the package URL, or "" if the type's rules do not allow these
// parts: no package URL is better than one that means something else.
func New(kind, namespace, name, version string) string {
	if name == "" {
		return ""
	}
	p := packageurl.NewPackageURL(kind, namespace, name, version, nil, "")
	if err := p.Normalize(); err != nil {
		return ""
	}
	return p.ToString()
}
