// SPDX-License-Identifier: Apache-2.0

package nodebench

import (
	"context"
	"fmt"
	"time"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/stand"
)

// creations makes containers of an image that has a verdict, with the agent
// connected and then without: a plugin cannot come and go for each.
func (b *bench) creations(ctx context.Context) error {
	if _, err := b.cri.PullImage(ctx, b.images[0]); err != nil {
		return err
	}
	pod, err := b.cri.StartPod(ctx, "bench", nil)
	if err != nil {
		return err
	}
	if err := b.create(ctx, pod, WithPlugin); err != nil {
		return err
	}
	if err := b.stand.StopDaemon(ctx, stand.Agent); err != nil {
		return err
	}
	// containerd notices at the next call that the plugin has gone, and refuses that.
	if id, err := b.cri.CreateContainer(ctx, pod, b.container(0)); err == nil {
		if err := b.cri.RemoveContainer(ctx, id); err != nil {
			return err
		}
	}
	if err := b.create(ctx, pod, WithoutPlugin); err != nil {
		return err
	}
	if err := b.cri.RemovePod(ctx, pod); err != nil {
		return err
	}
	return b.stand.StartAgent(ctx)
}

func (b *bench) create(ctx context.Context, pod cri.Pod, into string) error {
	for i := range b.Containers {
		began := time.Now()
		id, err := b.cri.CreateContainer(ctx, pod, b.container(i+1))
		if err != nil {
			return err
		}
		b.result.Create[into] = append(b.result.Create[into], time.Since(began))
		if err := b.cri.RemoveContainer(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) container(i int) cri.ContainerOptions {
	return cri.ContainerOptions{Name: fmt.Sprint("c", i), Image: b.images[0], Args: []string{"/greeting"}}
}
