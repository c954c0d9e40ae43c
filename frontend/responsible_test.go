// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"testing"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

func TestResponsible(t *testing.T) {
	const vendor, authors = "org.opencontainers.image.vendor", "org.opencontainers.image.authors"
	labelled := func(labels map[string]string) *dockerspec.DockerOCIImage {
		var img dockerspec.DockerOCIImage
		img.Config.Labels = labels
		return &img
	}
	for name, row := range map[string]struct {
		image, base      map[string]string
		supplier, author string
	}{
		"nobody":    {},
		"vendor":    {map[string]string{vendor: "Acme"}, nil, "Organization: Acme", "Organization: Acme"},
		"authors":   {map[string]string{authors: "Jane Doe <jane@example.org>"}, nil, "", "Person: Jane Doe (jane@example.org)"},
		"both":      {map[string]string{vendor: "Acme", authors: "Jane Doe <jane@example.org>"}, nil, "Organization: Acme", "Person: Jane Doe (jane@example.org)"},
		"inherited": {map[string]string{vendor: "Debian", authors: "x"}, map[string]string{vendor: "Debian", authors: "x"}, "", ""},
		"own":       {map[string]string{vendor: "Acme"}, map[string]string{vendor: "Debian"}, "Organization: Acme", "Organization: Acme"},
	} {
		t.Run(name, func(t *testing.T) {
			supplier, author := responsible(labelled(row.image), labelled(row.base))
			require.Equal(t, row.supplier, supplier)
			require.Equal(t, row.author, author)
		})
	}
	supplier, _ := responsible(labelled(map[string]string{vendor: "Acme"}), nil)
	require.Equal(t, "Organization: Acme", supplier, "from scratch")
}
