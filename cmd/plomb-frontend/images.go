// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/frontend"
	"github.com/plombproject/plomb/frontend/basesbom"
	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
)

// Frontend and verify are strangers to each other. What the frontend wants
// done by verify is put together here.

// checkTimeout bounds the check of one base image.
const checkTimeout = 60 * time.Second

// newBaseChecker implements frontend.Frontend's Bases.
func newBaseChecker(files map[string][]byte, trustedRoot []byte) (frontend.BaseChecker, error) {
	sorted := make([]policy.File, 0, len(files))
	for name, data := range files {
		sorted = append(sorted, policy.File{Name: "policy/" + name, Data: data})
	}
	slices.SortFunc(sorted, func(a, b policy.File) int { return strings.Compare(a.Name, b.Name) })
	set, err := policy.FromFiles("policy", sorted)
	if err != nil {
		return nil, err
	}
	return &baseChecker{policy: set, root: func() (*trust.Root, error) {
		if trustedRoot == nil {
			return nil, fmt.Errorf("%w: the build context has a policy and no trusted_root.json", trust.ErrRoot)
		}
		return trust.Parse(trustedRoot)
	}}, nil
}

type baseChecker struct {
	policy *policy.Set
	root   func() (*trust.Root, error)
}

// CheckBase implements frontend.BaseChecker.
func (c *baseChecker) CheckBase(ctx context.Context, name string, platform ocispecs.Platform) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	ref, err := evidence.ParseReference(name)
	if err != nil {
		return err
	}
	d := verify.Verify(ctx, verify.Request{
		Name:       name,
		Descriptor: ocispecs.Descriptor{Digest: ref.Digest},
		Policy:     c.policy,
		Trust:      verify.OneRoot(c.root),
		Location:   evidence.NewRegistry(name, evidence.RegistryOptions{}),
		Locate: func(repository string) (evidence.Location, error) {
			return evidence.NewRegistry(repository, evidence.RegistryOptions{}), nil
		},
		Platform: matcher(platform),
	})
	if d.Verdict != decision.Allow {
		return errors.New(d.Line())
	}
	return nil
}

// registry implements frontend.Registry.
type registry struct{}

// Layers implements frontend.Registry.
func (registry) Layers(ctx context.Context, name string, platform ocispecs.Platform) ([]ocispecs.Descriptor, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	ref, err := evidence.ParseReference(name)
	if err != nil {
		return nil, err
	}
	img, err := image.Open(ctx, evidence.NewRegistry(name, evidence.RegistryOptions{}), ref.Digest, matcher(platform), image.MaxForNode)
	if err != nil {
		return nil, err
	}
	if len(img.Manifests) != 1 {
		return nil, fmt.Errorf("%s has %d manifests for %s", name, len(img.Manifests), platforms.Format(platform))
	}
	return img.Manifests[0].Manifest.Layers, nil
}

// baseReader reads the content of an image's repository.
func baseReader(name string) basesbom.Reader {
	r := evidence.NewRegistry(name, evidence.RegistryOptions{})
	return func(ctx context.Context, kind basesbom.Kind, dgst digest.Digest, most int64) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		open := func() (io.ReadCloser, error) { return r.Open(ctx, "blob", dgst) }
		if kind == basesbom.Manifest {
			open = func() (io.ReadCloser, error) { return r.Open(ctx, "manifest", dgst) }
		}
		data, err := readAll(open, most)
		if errors.Is(err, evidence.ErrAccess) {
			return nil, fmt.Errorf("%w: %w", basesbom.ErrDenied, err)
		}
		return data, err
	}
}

// readAll reads what open opens. Only reading tells whether it may be read.
func readAll(open func() (io.ReadCloser, error), most int64) ([]byte, error) {
	body, err := open()
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return limit.ReadAll(body, most)
}

// matcher matches the platform itself and nothing that could stand in for it.
func matcher(p ocispecs.Platform) platforms.Matcher {
	if p.OS == "" {
		return platforms.OnlyStrict(platforms.DefaultSpec())
	}
	return platforms.OnlyStrict(p)
}
