// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/frontend/catalog/actor"
)

// responsible is who supplies the image and who answers for its SBOM, by the
// labels that the OCI image specification has for vendor and authors; "" where
// nobody is named. A base image's labels are inherited, and name its people.
func responsible(image, base *dockerspec.DockerOCIImage) (supplier, author string) {
	label := func(name string) string {
		value := image.Config.Labels[name]
		if base != nil && base.Config.Labels[name] == value {
			return ""
		}
		return value
	}
	supplier = actor.Organization(label(ocispecs.AnnotationVendor))
	if author = actor.Parse(label(ocispecs.AnnotationAuthors)); author == "" {
		author = supplier
	}
	return supplier, author
}
