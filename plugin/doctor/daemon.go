// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	transferimage "github.com/containerd/containerd/v2/core/transfer/image"
	transferregistry "github.com/containerd/containerd/v2/core/transfer/registry"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	// kubernetes is CRI's namespace in containerd, own is the doctor's.
	kubernetes = "k8s.io"
	own        = "plomb-canary"

	// podNamespace and label mark pods of this package.
	podNamespace = "plomb-canary"
	label        = "plombproject.github.io/canary"
)

// daemon speaks to one containerd, as kubelet does and as ctr does.
type daemon struct {
	conn   *grpc.ClientConn
	pods   cri.RuntimeServiceClient
	images cri.ImageServiceClient
	client *client.Client
}

func connect(address string) (*daemon, error) {
	conn, err := grpc.NewClient("unix://"+strings.TrimPrefix(address, "unix://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		return nil, fmt.Errorf("containerd at %s: %w", address, err)
	}
	c, err := client.NewWithConn(conn)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("containerd at %s: %w", address, err), conn.Close())
	}
	return &daemon{conn: conn, pods: cri.NewRuntimeServiceClient(conn), images: cri.NewImageServiceClient(conn), client: c}, nil
}

func (d *daemon) close() { _ = d.conn.Close() }

func (d *daemon) version(ctx context.Context) (string, error) {
	v, err := d.client.Version(ctx)
	return v.Version, err
}

// pullCRI pulls as kubelet does.
func (d *daemon) pullCRI(ctx context.Context, name string) error {
	ctx, cancel := toTheEnd(ctx)
	defer cancel()
	_, err := d.images.PullImage(ctx, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: name}})
	return err
}

// pullTransfer pulls as `ctr images pull` does, in a namespace of its own.
func (d *daemon) pullTransfer(ctx context.Context, name string) error {
	ctx, cancel := toTheEnd(namespaces.WithNamespace(ctx, own))
	defer cancel()
	source, err := transferregistry.NewOCIRegistry(ctx, name)
	if err != nil {
		return err
	}
	return d.client.Transfer(ctx, source, transferimage.NewStore(name))
}

// importImage puts an image into the store without a pull, as `ctr images
// import` does, and waits until CRI has seen it.
func (d *daemon) importImage(ctx context.Context, img *image) error {
	archive, err := img.archive()
	if err != nil {
		return err
	}
	whole, cancel := toTheEnd(ctx)
	defer cancel()
	if _, err := d.client.Import(namespaces.WithNamespace(whole, kubernetes), bytes.NewReader(archive)); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	// CRI gives the image names of its own when it is told of it, and would do so
	// after they were removed.
	for {
		has, err := d.has(whole, img.name)
		if err != nil || has {
			return err
		}
		select {
		case <-whole.Done():
			return fmt.Errorf("import: CRI does not see the image: %w", whole.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// has tells whether CRI has an image.
func (d *daemon) has(ctx context.Context, name string) (bool, error) {
	resp, err := d.images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
	return resp.GetImage() != nil, err
}

// toTheEnd outlives an interrupt: what containerd has begun to make it goes on
// making, and it could not be removed before it is there.
func toTheEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), sweepLimit)
}

// runPod starts an empty pod on the node's own network: no CNI is needed.
func (d *daemon) runPod(ctx context.Context, id string) (*cri.PodSandboxConfig, string, error) {
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: own + "-" + id, Namespace: podNamespace, Uid: id},
		Labels:   map[string]string{label: id},
		Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE},
		}},
	}
	ctx, cancel := toTheEnd(ctx)
	defer cancel()
	resp, err := d.pods.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
	return config, resp.GetPodSandboxId(), err
}

// create makes a container that is never started.
func (d *daemon) create(ctx context.Context, pod string, config *cri.PodSandboxConfig, name, image string) error {
	ctx, cancel := toTheEnd(ctx)
	defer cancel()
	_, err := d.pods.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: pod, SandboxConfig: config,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: name},
			Image:    &cri.ImageSpec{Image: image},
			Labels:   map[string]string{label: config.GetMetadata().GetUid()},
			Linux:    &cri.LinuxContainerConfig{},
		},
	})
	return err
}

// removePods ends the doctor's pods, with all in them.
func (d *daemon) removePods(ctx context.Context) error {
	resp, err := d.pods.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if status.Code(err).String() == "Unimplemented" {
		return nil // no CRI, no pods
	}
	if err != nil {
		return err
	}
	var all error
	for _, pod := range resp.GetItems() {
		if pod.GetLabels()[label] == "" || pod.GetMetadata().GetNamespace() != podNamespace {
			continue
		}
		if _, err := d.pods.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: pod.GetId()}); err != nil {
			all = errors.Join(all, fmt.Errorf("stop pod %s: %w", pod.GetId(), err))
		}
		if _, err := d.pods.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: pod.GetId()}); err != nil {
			all = errors.Join(all, fmt.Errorf("remove pod %s: %w", pod.GetId(), err))
		}
	}
	return all
}

// removeImages removes canaries from a namespace; their blobs go with the last.
func (d *daemon) removeImages(ctx context.Context, namespace string, mine func(name string) bool) error {
	ctx = namespaces.WithNamespace(ctx, namespace)
	store := d.client.ImageService()
	list, err := store.List(ctx)
	if err != nil {
		return err
	}
	ids := map[string]bool{}
	var names []string
	for _, img := range list {
		if mine(img.Name) {
			names = append(names, img.Name)
			ids[img.Target.Digest.String()] = true
		}
	}
	for _, img := range list {
		// CRI names an image by its config's digest too.
		if strings.HasPrefix(img.Name, "sha256:") && ids[img.Target.Digest.String()] {
			names = append(names, img.Name)
		}
	}
	var all error
	for i, name := range names {
		var opts []images.DeleteOpt
		if i == len(names)-1 {
			opts = append(opts, images.SynchronousDelete())
		}
		if err := store.Delete(ctx, name, opts...); err != nil && !errdefs.IsNotFound(err) {
			all = errors.Join(all, fmt.Errorf("remove image %s: %w", name, err))
		}
	}
	return all
}

// removeNamespace removes the doctor's own. What is not referred to any more is
// still there until containerd collects garbage.
func (d *daemon) removeNamespace(ctx context.Context) error {
	for {
		err := d.client.NamespaceService().Delete(ctx, own)
		if err == nil || errdefs.IsNotFound(err) {
			return nil
		}
		if !errdefs.IsFailedPrecondition(err) || ctx.Err() != nil {
			return fmt.Errorf("remove namespace %s: %w", own, err)
		}
		if err := d.collect(ctx); err != nil {
			return fmt.Errorf("remove namespace %s: collect garbage: %w", own, err)
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// collect has containerd collect garbage, which it does when a lease ends. What
// a pull that was interrupted holds is let go of.
func (d *daemon) collect(ctx context.Context) error {
	ctx = namespaces.WithNamespace(ctx, own)
	service := d.client.LeasesService()
	if _, err := service.Create(ctx, leases.WithRandomID(), leases.WithExpiration(time.Minute)); err != nil {
		return err
	}
	list, err := service.List(ctx)
	if err != nil {
		return err
	}
	var all error
	for _, l := range list {
		if err := service.Delete(ctx, l, leases.SynchronousDelete); err != nil && !errdefs.IsNotFound(err) {
			all = errors.Join(all, err)
		}
	}
	return all
}
