// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package systemd boots a real systemd, as process 1 of namespaces of its own,
// and has plomb node install bring plomb onto that machine: the agent runs as
// the unit that administrators get, with everything that the unit forbids.
//
// root_test.go makes the machine's root file system from Debian packages,
// machine_test.go boots it, registry_test.go is a registry on its loopback, and
// node_test.go is what has to work, and what must not. Nothing of it is left
// afterwards, but for the root file system's archive in .build/base.
package systemd

import "time"

// patience is how long anything may take on a busy machine.
const patience = time.Minute
