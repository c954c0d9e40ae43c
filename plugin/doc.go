// SPDX-License-Identifier: Apache-2.0

// Package plugin is plomb's edge to containerd. Each sub-package is one way in:
// containerd's call comes in, verify is called once, and containerd's answer
// goes out.
//
//	bindir   the pull-time verifier, a program containerd runs per pull
//
// Nothing below decides anything by itself.
package plugin
