// SPDX-License-Identifier: Apache-2.0

package containerd

// ConfigOf is configOf for tests.
var ConfigOf = configOf

// IsOurs tells whether a name that a process chose may be run.
var IsOurs = isOurs
