// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"fmt"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A Pod is a pod that was started, with what its containers are created from.
type Pod struct {
	// ID is the runtime's.
	ID     string
	config *runtime.PodSandboxConfig
}

// StartPod starts an empty pod with annotations. Like kubelet's, its containers
// are created with CreateContainer.
func (c *Client) StartPod(ctx context.Context, name string, annotations map[string]string) (Pod, error) {
	p := Pod{config: &runtime.PodSandboxConfig{
		Metadata:    &runtime.PodSandboxMetadata{Name: name, Namespace: "default", Uid: name},
		Annotations: annotations,
		Linux:       &runtime.LinuxPodSandboxConfig{},
	}}
	resp, err := c.pods.RunPodSandbox(ctx, &runtime.RunPodSandboxRequest{Config: p.config})
	if err != nil {
		return p, fmt.Errorf("CRI pod %s: %w", name, err)
	}
	p.ID = resp.GetPodSandboxId()
	return p, nil
}

// RemovePod ends a pod and its containers.
func (c *Client) RemovePod(ctx context.Context, p Pod) error {
	if _, err := c.pods.StopPodSandbox(ctx, &runtime.StopPodSandboxRequest{PodSandboxId: p.ID}); err != nil {
		return fmt.Errorf("CRI end of pod %s: %w", p.ID, err)
	}
	if _, err := c.pods.RemovePodSandbox(ctx, &runtime.RemovePodSandboxRequest{PodSandboxId: p.ID}); err != nil {
		return fmt.Errorf("CRI removal of pod %s: %w", p.ID, err)
	}
	return nil
}

// ContainerOptions say what a container is made of.
type ContainerOptions struct {
	// Name is the container's in its pod.
	Name string
	// Image is a reference, or an image's id.
	Image string
	// Args replace the image's.
	Args []string
	// Volumes are image volumes: the path in the container, and the image.
	Volumes map[string]string
	// VolumePath is a path in each of those images; empty is all of it.
	VolumePath string
}

// CreateContainer creates a container and returns its id. It pulls nothing.
func (c *Client) CreateContainer(ctx context.Context, p Pod, opts ContainerOptions) (string, error) {
	config := &runtime.ContainerConfig{
		Metadata: &runtime.ContainerMetadata{Name: opts.Name},
		Image:    &runtime.ImageSpec{Image: opts.Image},
		Args:     opts.Args,
		Linux:    &runtime.LinuxContainerConfig{},
	}
	for path, image := range opts.Volumes {
		config.Mounts = append(config.Mounts, &runtime.Mount{
			ContainerPath: path, Readonly: true, Image: &runtime.ImageSpec{Image: image}, ImageSubPath: opts.VolumePath,
		})
	}
	resp, err := c.pods.CreateContainer(ctx, &runtime.CreateContainerRequest{PodSandboxId: p.ID, Config: config, SandboxConfig: p.config})
	if err != nil {
		return "", fmt.Errorf("CRI container %s of %s: %w", opts.Name, opts.Image, err)
	}
	return resp.GetContainerId(), nil
}

// StartContainer starts a container that was created.
func (c *Client) StartContainer(ctx context.Context, id string) error {
	if _, err := c.pods.StartContainer(ctx, &runtime.StartContainerRequest{ContainerId: id}); err != nil {
		return fmt.Errorf("CRI start of container %s: %w", id, err)
	}
	return nil
}

// RemoveContainer stops and removes a container.
func (c *Client) RemoveContainer(ctx context.Context, id string) error {
	if _, err := c.pods.StopContainer(ctx, &runtime.StopContainerRequest{ContainerId: id}); err != nil {
		return fmt.Errorf("CRI stop of container %s: %w", id, err)
	}
	if _, err := c.pods.RemoveContainer(ctx, &runtime.RemoveContainerRequest{ContainerId: id}); err != nil {
		return fmt.Errorf("CRI removal of container %s: %w", id, err)
	}
	return nil
}

// Running tells whether a container runs.
func (c *Client) Running(ctx context.Context, id string) (bool, error) {
	resp, err := c.pods.ContainerStatus(ctx, &runtime.ContainerStatusRequest{ContainerId: id})
	if err != nil {
		return false, fmt.Errorf("CRI status of container %s: %w", id, err)
	}
	return resp.GetStatus().GetState() == runtime.ContainerState_CONTAINER_RUNNING, nil
}
