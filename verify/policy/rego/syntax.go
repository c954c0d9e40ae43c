// SPDX-License-Identifier: Apache-2.0

package rego

import "github.com/plombproject/plomb/verify/policy/syntax"

// A SyntaxError is one fault of a module. It wraps ErrInvalid.
type SyntaxError = syntax.Error

// prefix stands before what is said of the module of that name.
func prefix(name string) string {
	if name == "" {
		return ""
	}
	return name + ": "
}
