// SPDX-License-Identifier: Apache-2.0

// Package nri is the edge to containerd's Node Resource Interface
// (https://github.com/containerd/nri): it refuses to create a container whose
// image has no verdict that admits it, however the image came to the node.
//
// It decides on digests alone, from memory, and never waits for a network:
// containerd makes these calls one at a time for the whole node.
//
// It needs containerd 2.4.1 or later, which tells plugins the image of a
// container, with default_validator.required_plugins naming this plugin: without
// that setting NRI lets a container through when a plugin is gone. It sees
// neither pods' pause containers, which are the node's own configuration, nor
// what is run past CRI, by ctr for instance.
package nri

import (
	"context"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/plugin/admission"
)

// A Container is one that is to be created, or runs.
type Container struct {
	// Subject is NAMESPACE/POD/CONTAINER, for people and receipts.
	Subject string
	// Name is the first of all references of the image on the node. It was not
	// what was asked for, and nobody vouches for it.
	Name string
	// Digests are those of the image's target and config. The target, an index
	// or a manifest, is first: the root file system comes from it. None: the
	// runtime does not say which image it is.
	Digests []digest.Digest
	// Volume tells that it is an image volume of Subject and not its root.
	Volume bool
}

// A Gate is who knows verdicts.
type Gate interface {
	// Known answers from memory, and has written the receipt when it returns.
	// False: there is no verdict yet. A container without Digests can only be
	// admitted by the node's mode or a broken glass.
	Known(ctx context.Context, c Container) (admission.Outcome, bool)
	// Verify has the image verified in the background; it returns at once.
	Verify(c Container)
	// Found tells what runs when the plugin connects.
	Found(running []Container)
}
