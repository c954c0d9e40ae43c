// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/verify/internal/document"
)

// A Publisher writes evidence into one repository. No verification has one.
type Publisher struct {
	registry   *Registry
	repository string
}

// NewPublisher prepares access to the repository of ref, see NewRegistry. It
// makes no request.
func NewPublisher(ref string, opts RegistryOptions) (*Publisher, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrReference, ref, err)
	}
	return &Publisher{registry: NewRegistry(named.Name(), opts), repository: named.Name()}, nil
}

// Referrers lists what refers to a manifest, through the referrers API
// (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers).
// ok is false if the registry does not have it.
func (p *Publisher) Referrers(ctx context.Context, dgst digest.Digest) (list []ocispec.Descriptor, ok bool, err error) {
	list, ok, err = p.registry.list(ctx, dgst)
	if !ok {
		// Who writes the fallback tag reads it himself, as an index.
		list = nil
	}
	return list, ok, err
}

// Tagged reads the index that a tag names; nil if there is no such tag.
func (p *Publisher) Tagged(ctx context.Context, tag string) (*ocispec.Index, error) {
	_, desc, err := p.registry.resolver.Resolve(quiet(ctx), p.repository+":"+tag)
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, p.registry.translate(ctx, err)
	}
	data, err := document.Fetch(ctx, p.registry, document.Manifest, desc.Digest, document.MaxManifest)
	if err != nil {
		return nil, err
	}
	doc, err := document.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("tag %s: %w", tag, err)
	}
	if doc.Index == nil {
		return nil, fmt.Errorf("%w: tag %s is no index of referrers", document.ErrMalformed, tag)
	}
	return doc.Index, nil
}

// Put writes a blob, or a manifest under its digest. What is there already
// stays.
func (p *Publisher) Put(ctx context.Context, desc ocispec.Descriptor, data []byte) error {
	return p.push(ctx, p.repository+"@"+desc.Digest.String(), desc, data)
}

// PutTag writes a manifest under a tag.
func (p *Publisher) PutTag(ctx context.Context, tag string, desc ocispec.Descriptor, data []byte) error {
	return p.push(ctx, p.repository+":"+tag, desc, data)
}

func (p *Publisher) push(ctx context.Context, ref string, desc ocispec.Descriptor, data []byte) error {
	ctx = quiet(ctx)
	err := p.write(ctx, ref, desc, data)
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("push to %s: %w", ref, p.registry.translate(ctx, err))
	}
	return nil
}

func (p *Publisher) write(ctx context.Context, ref string, desc ocispec.Descriptor, data []byte) error {
	pusher, err := p.registry.resolver.Pusher(ctx, ref)
	if err != nil {
		return err
	}
	w, err := pusher.Push(ctx, desc)
	if err != nil {
		return err
	}
	err = content.Copy(ctx, w, bytes.NewReader(data), desc.Size, desc.Digest)
	return errors.Join(err, ignoreClosed(w.Close()))
}

// ignoreClosed passes over a writer that its own commit has closed.
func ignoreClosed(err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}
