// SPDX-License-Identifier: Apache-2.0

package nri

import (
	"path"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/decision"
)

// volumesDir is where containerd mounts image volumes:
// STATE/image-volumes/SANDBOX/DIGEST, with the path in the image after that if
// the pod asks for one (containerd 2.4.2, internal/cri/server/helpers.go and
// container_image_mount.go).
const volumesDir = "image-volumes"

// imagesOf are the images that a container is made of: its root, and its image
// volumes among its own mounts and those that were added.
func imagesOf(pod *api.PodSandbox, c *api.Container, added []*api.Mount) []Container {
	subject := subjectOf(pod, c)
	root := Container{Subject: subject, Name: decision.OneLine(c.GetImage().GetName())}
	for _, d := range []string{c.GetImage().GetDigest(), c.GetImage().GetConfigDigest()} {
		// What is no digest names nothing, and nothing is not admitted.
		if dgst := digest.Digest(d); d != "" && dgst.Validate() == nil && !slices.Contains(root.Digests, dgst) {
			root.Digests = append(root.Digests, dgst)
		}
	}
	images := []Container{root}
	for _, m := range slices.Concat(c.GetMounts(), added) {
		for _, d := range volumesIn(m) {
			v := Container{Subject: subject, Digests: []digest.Digest{d}, Volume: true}
			if !slices.ContainsFunc(images, func(i Container) bool { return i.Volume && i.key() == v.key() }) {
				images = append(images, v)
			}
		}
	}
	return images
}

func subjectOf(pod *api.PodSandbox, c *api.Container) string {
	return decision.OneLine(strings.Join([]string{pod.GetNamespace(), pod.GetName(), c.GetName()}, "/"))
}

// volumesIn finds image volumes in a mount: its source, or for a file system that
// is made of folders, such as overlay, its options.
func volumesIn(m *api.Mount) []digest.Digest {
	var list []digest.Digest
	for _, text := range append([]string{m.GetSource()}, m.GetOptions()...) {
		for _, p := range strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == ',' || r == '=' }) {
			if d := volumeIn(p); d != "" {
				list = append(list, d)
			}
		}
	}
	return list
}

// volumeIn is the digest in the path of an image volume, or of something in it.
func volumeIn(p string) digest.Digest {
	if !strings.Contains(p, volumesDir) {
		return ""
	}
	parts := strings.Split(path.Clean(p), "/")
	for i := len(parts) - 3; i >= 0; i-- {
		if parts[i] != volumesDir {
			continue
		}
		for _, a := range []digest.Algorithm{digest.SHA256, digest.SHA384, digest.SHA512} {
			if d := digest.NewDigestFromEncoded(a, parts[i+2]); d.Validate() == nil {
				return d
			}
		}
	}
	return ""
}

// key says which image it is, for remembering.
func (c Container) key() string {
	parts := []string{"root"}
	if c.Volume {
		parts[0] = "volume"
	}
	for _, d := range c.Digests {
		parts = append(parts, d.String())
	}
	return strings.Join(parts, " ")
}
