// SPDX-License-Identifier: Apache-2.0

package foretell

import (
	"encoding/json"
	"fmt"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Manifest is one that the exporter will write, if it compresses new layers
// with gzip at Go's default level and adds no annotations.
type Manifest struct {
	MediaType string
	Digest    digest.Digest
}

// mediaTypes are those of one dialect of image manifests.
type mediaTypes struct{ manifest, config string }

var dialects = []mediaTypes{
	{ocispecs.MediaTypeImageManifest, ocispecs.MediaTypeImageConfig},
	{images.MediaTypeDockerSchema2Manifest, images.MediaTypeDockerSchema2Config},
}

// Manifests returns the image's manifest as it will be with OCI media types,
// and with Docker's. base are the base's layers as its own manifest lists
// them, layers the new ones, of which only digest and size count.
func Manifests(config []byte, base, layers []ocispecs.Descriptor) ([]Manifest, error) {
	var out []Manifest
	for _, d := range dialects {
		m := ocispecs.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2},
			MediaType: d.manifest,
			Config:    ocispecs.Descriptor{MediaType: d.config, Digest: digest.FromBytes(config), Size: int64(len(config))},
		}
		for _, l := range base {
			layer, err := translate(l, d.manifest)
			if err != nil {
				return nil, err
			}
			m.Layers = append(m.Layers, layer)
		}
		for _, l := range layers {
			layer, err := translate(ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageLayerGzip, Digest: l.Digest, Size: l.Size}, d.manifest)
			if err != nil {
				return nil, err
			}
			m.Layers = append(m.Layers, layer)
		}
		data, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			return nil, err
		}
		out = append(out, Manifest{MediaType: d.manifest, Digest: digest.FromBytes(data)})
	}
	return out, nil
}

// translate gives a layer the media type that it has in a manifest of the
// other dialect. What would have to be recompressed, or carries annotations
// that the exporter may drop, cannot be foretold.
func translate(l ocispecs.Descriptor, manifest string) (ocispecs.Descriptor, error) {
	if len(l.Annotations) > 0 {
		return l, fmt.Errorf("layer %s of the base has annotations", l.Digest)
	}
	docker := manifest == images.MediaTypeDockerSchema2Manifest
	switch l.MediaType {
	case ocispecs.MediaTypeImageLayerGzip, images.MediaTypeDockerSchema2LayerGzip:
		l.MediaType = ocispecs.MediaTypeImageLayerGzip
		if docker {
			l.MediaType = images.MediaTypeDockerSchema2LayerGzip
		}
	case ocispecs.MediaTypeImageLayer, images.MediaTypeDockerSchema2Layer:
		l.MediaType = ocispecs.MediaTypeImageLayer
		if docker {
			l.MediaType = images.MediaTypeDockerSchema2Layer
		}
	default:
		return l, fmt.Errorf("layer %s of the base is of type %s", l.Digest, l.MediaType)
	}
	return ocispecs.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size}, nil
}
