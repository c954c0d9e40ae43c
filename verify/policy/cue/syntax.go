// SPDX-License-Identifier: Apache-2.0

package cue

import "github.com/plombproject/plomb/verify/policy/syntax"

// A SyntaxError is one fault of a policy. It wraps ErrInvalid.
type SyntaxError = syntax.Error
