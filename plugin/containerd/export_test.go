// SPDX-License-Identifier: Apache-2.0

package containerd

// ConfigOf is configOf for tests.
var ConfigOf = configOf
