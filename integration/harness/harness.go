// SPDX-License-Identifier: Apache-2.0

// Package harness runs builds and other programs on a stand: the environment,
// the arguments and the files that integration tests give them. It starts no
// stand (integration/stand does) and looks into no image (integration/dissect
// does).
package harness
