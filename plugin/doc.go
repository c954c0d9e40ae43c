// SPDX-License-Identifier: Apache-2.0

// Package plugin is plomb's edge to containerd: containerd's call comes in, verify
// is called once, and containerd's answer goes out.
//
// Ways in:
//
//	bindir        the pull-time verifier, a program containerd runs per pull
//	relay         the same program hands its question to the agent
//	nri           containerd asks before it creates a container
//	imageservice  kubelet's pulls on their way to containerd, and their secrets
//	builtin       the verifier inside a containerd that was built with it
//	importer      an archive, into containerd's store
//
// What they share:
//
//	settings      where things are on a node
//	judge         one call of verify, with the node's policy, roots and registries
//	credentials   a registry's name to its credentials
//	admission     a decision, by mode, snapshot and break-glass, to an answer
//	verdicts      decisions that outlive a restart
//	store         evidence in containerd's own stores
//	agent         the process that has all of it in memory
//	control       plomb node's questions to the agent
//
// For administrators:
//
//	node          install, modes, snapshot, break-glass, uninstall
//	nodesync      policies and roots of a cluster, onto a node
//	containerd    its configuration: what turns verification off, what mends it
//	doctor        proof that it is on
//	canary        the key of that proof
//
// Nothing below decides anything by itself: verify does.
package plugin
