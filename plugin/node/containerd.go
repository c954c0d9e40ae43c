// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/containerd"
)

// kubernetes is the namespace of all that CRI has.
const kubernetes = "k8s.io"

// maxListed bounds how many images and containers are looked at.
const maxListed = 100_000

// Containerd is the one behind a socket. It is a Runtime and an Inventory.
type Containerd struct {
	// Address is the path of its socket.
	Address string
}

// Daemon finds the process.
func (c Containerd) Daemon(ctx context.Context) (containerd.Daemon, error) {
	return containerd.Running(ctx, c.Address)
}

// Dump asks the program that runs what a configuration makes.
func (c Containerd) Dump(ctx context.Context, config string) ([]byte, error) {
	return containerd.Effective(ctx, c.Address, "", config)
}

// Answers returns nil when containerd serves.
func (c Containerd) Answers(ctx context.Context) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		_, err := cl.Version(ctx)
		return err
	})
}

// dialTimeout is how long a socket may take that is there. containerd's client
// waits ten seconds for one that is not.
const dialTimeout = time.Second

// with connects for one errand.
func (c Containerd) with(ctx context.Context, do func(context.Context, *client.Client) error) (err error) {
	cl, err := client.New(c.Address, client.WithDefaultNamespace(kubernetes), client.WithTimeout(dialTimeout))
	if err != nil {
		return fmt.Errorf("containerd at %s: %w", c.Address, err)
	}
	defer func() { err = errors.Join(err, cl.Close()) }()
	if err := do(namespaces.WithNamespace(ctx, kubernetes), cl); err != nil {
		return fmt.Errorf("containerd at %s: %w", c.Address, err)
	}
	return nil
}

// Images are all of Kubernetes', one for each thing that names point to.
func (c Containerd) Images(ctx context.Context) (list []admission.Pinned, err error) {
	err = c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		all, err := cl.ImageService().List(ctx)
		if err != nil {
			return err
		}
		if len(all) > maxListed {
			return fmt.Errorf("%d images: too many to list", len(all))
		}
		byTarget := map[digest.Digest]int{}
		for _, img := range all {
			at, ok := byTarget[img.Target.Digest]
			if ok {
				list[at].Name = better(list[at].Name, img.Name)
				continue
			}
			byTarget[img.Target.Digest] = len(list)
			list = append(list, admission.Pinned{Name: img.Name, Digests: digests(ctx, cl.ContentStore(), img)})
		}
		return nil
	})
	slices.SortFunc(list, func(a, b admission.Pinned) int { return compare(a.Name, b.Name) })
	return list, err
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// better prefers a name with a tag to one with a digest, and that to a bare
// image ID, which CRI all gives the same image.
func better(a, b string) string {
	rank := func(name string) int {
		ref, err := reference.Parse(name)
		if err != nil {
			return 2
		}
		if _, ok := ref.(reference.Digested); ok {
			return 1
		}
		return 0
	}
	if ra, rb := rank(a), rank(b); rb < ra || rb == ra && b < a {
		return b
	}
	return a
}

// digests are those of an image's target, of its manifest for this node and of
// that one's config, as far as they are on the node.
func digests(ctx context.Context, store content.Provider, img images.Image) []digest.Digest {
	list := []digest.Digest{img.Target.Digest}
	add := func(d digest.Digest) {
		if !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	here := platforms.Default()
	if images.IsIndexType(img.Target.MediaType) {
		for _, d := range manifests(ctx, store, img, here) {
			add(d)
		}
	}
	if config, err := img.Config(ctx, store, here); err == nil {
		add(config.Digest)
	}
	return list
}

// manifests is the one manifest of an index that this node runs.
func manifests(ctx context.Context, store content.Provider, img images.Image, here platforms.MatchComparer) []digest.Digest {
	children, err := images.Children(ctx, store, img.Target)
	if err != nil {
		return nil
	}
	best := -1
	for i, c := range children {
		if c.Platform == nil || !here.Match(*c.Platform) || !images.IsManifestType(c.MediaType) {
			continue
		}
		if best < 0 || here.Less(*c.Platform, *children[best].Platform) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	return []digest.Digest{children[best].Digest}
}

// Running are Kubernetes' containers whose process runs.
func (c Containerd) Running(ctx context.Context) (list []Container, err error) {
	err = c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		all, err := cl.Containers(ctx)
		if err != nil {
			return err
		}
		if len(all) > maxListed {
			return fmt.Errorf("%d containers: too many to list", len(all))
		}
		for _, ctr := range all {
			found, ok, err := running(ctx, cl, ctr)
			if err != nil {
				return err
			}
			if ok {
				list = append(list, found)
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Container) int { return compare(a.Subject, b.Subject) })
	return list, err
}

func running(ctx context.Context, cl *client.Client, ctr client.Container) (c Container, ok bool, err error) {
	info, err := ctr.Info(ctx, client.WithoutRefreshedMetadata)
	if err != nil {
		return c, false, err
	}
	task, err := ctr.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return c, false, nil // created, or ended meanwhile
	}
	if err != nil {
		return c, false, err
	}
	status, err := task.Status(ctx)
	if err != nil && !errdefs.IsNotFound(err) {
		return c, false, err
	}
	if err != nil || status.Status == client.Stopped {
		return c, false, nil
	}
	// CRI's own words for what it was asked to create.
	c.Sandbox, c.Subject = info.Labels["io.cri-containerd.kind"] == "sandbox", ctr.ID()
	if spec, err := ctr.Spec(ctx); err == nil && spec.Annotations["io.kubernetes.cri.sandbox-name"] != "" {
		a := spec.Annotations
		c.Subject = a["io.kubernetes.cri.sandbox-namespace"] + "/" + a["io.kubernetes.cri.sandbox-name"] + "/" + a["io.kubernetes.cri.container-name"]
	}
	c.Image.Name = info.Image
	img, err := cl.ImageService().Get(ctx, info.Image)
	if errdefs.IsNotFound(err) {
		return c, true, nil
	}
	if err != nil {
		return c, false, err
	}
	c.Image.Digests = digests(ctx, cl.ContentStore(), img)
	return c, true, nil
}
