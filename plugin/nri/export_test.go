// SPDX-License-Identifier: Apache-2.0

package nri

import "github.com/containerd/nri/pkg/api"

// ImagesOf is imagesOf without additions.
func ImagesOf(pod *api.PodSandbox, c *api.Container) []Container { return imagesOf(pod, c, nil) }
