// SPDX-License-Identifier: Apache-2.0

// Package cri is a small client of the Kubernetes Container Runtime Interface
// (k8s.io/cri-api, v1), enough to pull an image and to start a pod the way
// kubelet does, and to see what containerd answers.
//
// It does not retry and does not interpret: a refusal is returned as the
// runtime said it. Reason gives its text.
package cri

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var (
	// ErrNotReady reports a runtime that answers but cannot run pods.
	ErrNotReady = errors.New("runtime not ready")
	// ErrNoImage reports an image that the runtime does not have.
	ErrNoImage = errors.New("no such image")
)

// maxMessage is what kubelet and crictl allow for one answer.
const maxMessage = 16 << 20

// Client talks to one runtime.
type Client struct {
	conn   *grpc.ClientConn
	pods   runtime.RuntimeServiceClient
	images runtime.ImageServiceClient
}

// Dial makes a client for the Unix socket at path; "unix://" before it is
// accepted. It does not wait for the runtime.
func Dial(path string) (*Client, error) {
	conn, err := grpc.NewClient("unix://"+strings.TrimPrefix(path, "unix://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("CRI at %s: %w", path, err)
	}
	return &Client{
		conn:   conn,
		pods:   runtime.NewRuntimeServiceClient(conn),
		images: runtime.NewImageServiceClient(conn),
	}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Version returns the runtime's name and version, such as "containerd v2.4.2".
func (c *Client) Version(ctx context.Context) (string, error) {
	resp, err := c.pods.Version(ctx, &runtime.VersionRequest{Version: "v1"})
	if err != nil {
		return "", fmt.Errorf("CRI version: %w", err)
	}
	return resp.GetRuntimeName() + " " + resp.GetRuntimeVersion(), nil
}

// Ready fails with ErrNotReady while a condition such as the network is not
// met.
func (c *Client) Ready(ctx context.Context) error {
	resp, err := c.pods.Status(ctx, &runtime.StatusRequest{})
	if err != nil {
		return fmt.Errorf("CRI status: %w", err)
	}
	for _, cond := range resp.GetStatus().GetConditions() {
		// Conditions of containerd's own, such as deprecation warnings, do not count.
		if cond.GetType() != runtime.RuntimeReady && cond.GetType() != runtime.NetworkReady {
			continue
		}
		if !cond.GetStatus() {
			return fmt.Errorf("%w: %s: %s: %s", ErrNotReady, cond.GetType(), cond.GetReason(), cond.GetMessage())
		}
	}
	return nil
}

// PullImage pulls ref without credentials and returns the image's id, which
// for containerd is the digest of its config.
func (c *Client) PullImage(ctx context.Context, ref string) (string, error) {
	resp, err := c.images.PullImage(ctx, &runtime.PullImageRequest{Image: &runtime.ImageSpec{Image: ref}})
	if err != nil {
		return "", fmt.Errorf("CRI pull of %s: %w", ref, err)
	}
	return resp.GetImageRef(), nil
}

// ImageStatus returns what the runtime knows of ref, or ErrNoImage.
func (c *Client) ImageStatus(ctx context.Context, ref string) (*runtime.Image, error) {
	resp, err := c.images.ImageStatus(ctx, &runtime.ImageStatusRequest{Image: &runtime.ImageSpec{Image: ref}})
	if err != nil {
		return nil, fmt.Errorf("CRI status of image %s: %w", ref, err)
	}
	if resp.GetImage() == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoImage, ref)
	}
	return resp.GetImage(), nil
}

// RemoveImage removes ref; that it was not there is no error.
func (c *Client) RemoveImage(ctx context.Context, ref string) error {
	if _, err := c.images.RemoveImage(ctx, &runtime.RemoveImageRequest{Image: &runtime.ImageSpec{Image: ref}}); err != nil {
		return fmt.Errorf("CRI removal of %s: %w", ref, err)
	}
	return nil
}

// RunPod starts an empty pod with a network of its own and returns its id. The
// runtime needs its sandbox image for it, pulled or imported before.
func (c *Client) RunPod(ctx context.Context, name string) (string, error) {
	resp, err := c.pods.RunPodSandbox(ctx, &runtime.RunPodSandboxRequest{Config: &runtime.PodSandboxConfig{
		Metadata: &runtime.PodSandboxMetadata{Name: name, Namespace: "default", Uid: name},
		Linux:    &runtime.LinuxPodSandboxConfig{},
	}})
	if err != nil {
		return "", fmt.Errorf("CRI pod %s: %w", name, err)
	}
	return resp.GetPodSandboxId(), nil
}

// PodIP returns the address that the network gave a pod.
func (c *Client) PodIP(ctx context.Context, id string) (string, error) {
	resp, err := c.pods.PodSandboxStatus(ctx, &runtime.PodSandboxStatusRequest{PodSandboxId: id})
	if err != nil {
		return "", fmt.Errorf("CRI status of pod %s: %w", id, err)
	}
	return resp.GetStatus().GetNetwork().GetIp(), nil
}

// Reason is the text of the runtime's answer as it ends in a pod's events,
// without what the layers on this side added. It is empty for nil.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if s, ok := e.(interface{ GRPCStatus() *status.Status }); ok {
			return s.GRPCStatus().Message()
		}
	}
	return err.Error()
}
