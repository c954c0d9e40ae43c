// SPDX-License-Identifier: Apache-2.0

package golang

import (
	"runtime/debug"

	"github.com/plombproject/plomb/provenance/sbom"
)

// Parse is for build information as `go version -m` prints it, without the
// first line, which has the version of Go.
func Parse(goVersion, text string) ([]sbom.Package, error) {
	info, err := debug.ParseBuildInfo(text)
	if err != nil {
		return nil, err
	}
	info.GoVersion = goVersion
	return modules(info, len(info.Deps)), nil
}
