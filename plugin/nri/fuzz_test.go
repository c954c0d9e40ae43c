// SPDX-License-Identifier: Apache-2.0

package nri_test

import (
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/plugin/nri"
)

// FuzzImages: whatever a pod is called and mounts, its image volumes are found,
// and what is said of it is one line.
func FuzzImages(f *testing.F) {
	hex := digest.FromString("x").Encoded()
	f.Add("default", "shop", "registry.example/shop", "sha256:"+hex, "/run/containerd/image-volumes/s/"+hex+"/below", "lowerdir=/a:/b")
	f.Add("", "", "", "", "image-volumes/a/b", "")
	f.Fuzz(func(t *testing.T, namespace, pod, name, dgst, source, option string) {
		c := &api.Container{Name: pod, Image: &api.Image{Name: name, Digest: dgst}, Mounts: []*api.Mount{
			{Source: source, Options: []string{option}},
			{Source: "/state/image-volumes/s/" + hex},
		}}
		images := nri.ImagesOf(&api.PodSandbox{Namespace: namespace, Name: pod}, c)
		if images[0].Volume || !images[len(images)-1].Volume {
			t.Fatal("the root is first, and the volume is found")
		}
		for _, i := range images {
			for _, d := range i.Digests {
				if err := d.Validate(); err != nil {
					t.Fatal(err)
				}
			}
			if strings.ContainsAny(i.Subject+i.Name, "\n\r\x1b") {
				t.Fatalf("%q %q", i.Subject, i.Name)
			}
		}
	})
}
