// SPDX-License-Identifier: Apache-2.0

// Package store reads images where containerd keeps them, so that what is on the
// node already can be verified without a registry: blobs by digest from the
// content store, names from the image store, both in the namespace of CRI.
//
// It trusts neither. Blobs are checked against their digest by who reads them
// (package verify/evidence), and a name on the node says only that somebody gave
// it: ctr images tag asks nobody. It changes nothing.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
)

// Namespace is CRI's in containerd.
const Namespace = "k8s.io"

// dialTimeout bounds one attempt to reach containerd.
const dialTimeout = 2 * time.Second

// maxParts bounds how many images' parts are remembered; each takes less than a
// kilobyte.
const maxParts = 4096

// ErrContainerd reports that containerd did not answer.
var ErrContainerd = errors.New("containerd's store cannot be read")

// Images is what is needed of containerd's image store.
type Images interface {
	Get(ctx context.Context, name string) (images.Image, error)
	List(ctx context.Context, filters ...string) ([]images.Image, error)
}

// A Store is what one containerd has. It may be used by several goroutines.
type Store struct {
	content content.Provider
	images  Images
	closer  io.Closer

	mu sync.Mutex
	// parts never change: they follow from the digest.
	parts map[digest.Digest]Parts
}

// Parts are the digests of what an image is made of on this platform.
type Parts struct {
	Indexes, Manifests, Configs []digest.Digest
}

// has reports whether dgst is a config of the image.
func (p Parts) has(dgst digest.Digest) bool { return slices.Contains(p.Configs, dgst) }

// New makes a store of containerd's two.
func New(content content.Provider, images Images) *Store {
	return &Store{content: content, images: images, parts: map[digest.Digest]Parts{}}
}

// Connect makes a store of the containerd at the socket address. It does not
// wait for it, and outlives its restarts.
func Connect(address string) (*Store, error) {
	c, err := client.New(strings.TrimPrefix(address, "unix://"), client.WithDefaultNamespace(Namespace), client.WithTimeout(dialTimeout))
	if err != nil {
		return nil, fmt.Errorf("%w: %w: set CONTAINERD_ADDRESS to its socket", ErrContainerd, err)
	}
	s := New(c.ContentStore(), c.ImageService())
	s.closer = c
	return s, nil
}

// Close ends the connection.
func (s *Store) Close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// Names gives the references on the node whose target or config is one of the
// digests, those with a tag first. Nobody vouches for them.
func (s *Store) Names(ctx context.Context, digests ...digest.Digest) ([]string, error) {
	var tagged, others []string
	err := s.each(ctx, digests, func(i images.Image) {
		switch {
		case evidence.CheckQualified(i.Name) != nil:
			// CRI names each image by its config, too.
		case strings.Contains(i.Name, "@"):
			others = append(others, i.Name)
		default:
			tagged = append(tagged, i.Name)
		}
	})
	slices.Sort(tagged)
	slices.Sort(others)
	return append(tagged, others...), err
}

// Resolve finds the targets on the node, indexes or manifests, that config is a
// config of; none if there is no such image.
func (s *Store) Resolve(ctx context.Context, config digest.Digest) ([]digest.Digest, error) {
	var targets []digest.Digest
	err := s.each(ctx, []digest.Digest{config}, func(i images.Image) {
		if !slices.Contains(targets, i.Target.Digest) {
			targets = append(targets, i.Target.Digest)
		}
	})
	slices.Sort(targets)
	return targets, err
}

// each calls found for the images that are or contain one of the digests.
func (s *Store) each(ctx context.Context, digests []digest.Digest, found func(images.Image)) error {
	list, err := s.images.List(ctx)
	if err != nil {
		return fmt.Errorf("%w: list of images: %w", ErrContainerd, err)
	}
	for _, i := range list {
		if slices.Contains(digests, i.Target.Digest) {
			found(i)
			continue
		}
		parts, err := s.Parts(ctx, i.Target.Digest)
		if errors.Is(err, ErrContainerd) || ctx.Err() != nil {
			return err
		}
		// Another image that is broken, or of another platform, is not this one.
		if err == nil && slices.ContainsFunc(digests, parts.has) {
			found(i)
		}
	}
	return nil
}

// Parts reads what the image target is made of on this platform. Every document
// is checked against the digest that names it.
func (s *Store) Parts(ctx context.Context, target digest.Digest) (Parts, error) {
	s.mu.Lock()
	parts, ok := s.parts[target]
	s.mu.Unlock()
	if ok {
		return parts, nil
	}
	img, err := image.Open(ctx, s.At(""), target, platforms.Default(), image.MaxForNode)
	if err != nil {
		return Parts{}, err
	}
	parts.Indexes = img.Indexes
	for _, m := range img.Manifests {
		parts.Manifests = append(parts.Manifests, m.Entry.Digest)
		parts.Configs = append(parts.Configs, m.Manifest.Config.Digest)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.parts) >= maxParts {
		clear(s.parts)
	}
	s.parts[target] = parts
	return parts, nil
}

// failed names an error of containerd; what it does not have is not found.
func failed(what string, err error) error {
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("%w: %s is not on the node", evidence.ErrNotFound, what)
	}
	return fmt.Errorf("%w: %w: %s: %w", evidence.ErrUnreachable, ErrContainerd, what, err)
}
