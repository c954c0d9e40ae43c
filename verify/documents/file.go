// SPDX-License-Identifier: Apache-2.0

package documents

import (
	"os"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/byproducts"
)

// IsFile tells a document in a file from the name of an image: there is such a
// file.
func IsFile(arg string) bool {
	info, err := os.Stat(arg)
	return err == nil && info.Mode().IsRegular()
}

// ReadFile reads a document of at most the size that an attestation may have.
func ReadFile(path string) ([]byte, error) { return limit.ReadFile(path, byproducts.MaxStatement) }
