// SPDX-License-Identifier: Apache-2.0

// Package stand runs a stand: one set of real daemons under one folder, for
// trying the project by hand (hack/up, hack/down) and for the integration
// tests, so that both see the same thing.
//
// A stand has a registry (distribution), a buildkitd, a containerd whose
// image verifier is plomb-verifier, and the local Sigstore. All listen on
// loopback or on Unix sockets, on addresses of their own, so that stands live
// side by side. Everything a stand writes is below its folder, with three
// exceptions that have no other place: the sockets of containerd's shims
// (their length limit is too tight for a folder of the user's choice) in
// /run/plomb-ID, CNI's results below /var/lib/cni, and cgroups.
//
// The order of a start, a file each: options.go, layout.go (paths, marker),
// ports.go, the daemons (registry.go, sigstore.go, buildkitd.go,
// containerd.go with network.go and runc.go), daemon.go and process.go (spawn,
// wait until it answers), policy.go, frontend.go, env.go. A stop is clean.go
// with mounts.go; control.go handles one daemon.
//
// The package does not build programs; hack/tools does. It needs root.
package stand
