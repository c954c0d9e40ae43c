// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/frontend/basesbom"
	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/frontend/catalog/document"
	"github.com/plombproject/plomb/frontend/credential"
	"github.com/plombproject/plomb/frontend/lineage"
	"github.com/plombproject/plomb/frontend/seal"
)

// Binary is where the frontend's image has its only program.
const Binary = "/plomb-frontend"

// ErrNotAnImage reports a frontend that BuildKit did not start from an image.
// Its helpers run in containers of that image, so there must be one.
var ErrNotAnImage = errors.New("the plomb frontend must run from its image: put `# syntax=IMAGE` on the first line of the Dockerfile")

// self is the frontend's own image, as BuildKit started it.
type self struct {
	image llb.State
	// name is its reference with digest, or with a tag where BuildKit does not
	// tell the digest.
	name string
}

func findSelf(ctx context.Context, c client.Client) (*self, error) {
	current, ok := c.(interface{ CurrentFrontend() (*llb.State, error) })
	if !ok {
		return nil, ErrNotAnImage
	}
	image, err := current.CurrentFrontend()
	if err != nil {
		return nil, fmt.Errorf("find the frontend's own image: %w", err)
	}
	if image == nil {
		return nil, ErrNotAnImage
	}
	def, err := image.Marshal(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the frontend's own image: %w", err)
	}
	l, err := lineage.Of(def.ToPB())
	if err != nil {
		return nil, fmt.Errorf("find the frontend's own image: %w", err)
	}
	return &self{image: *image, name: l.BaseSource}, nil
}

func (s self) sealer(platform ocispecs.Platform) seal.Helper {
	return seal.Helper{Image: s.image, Binary: Binary, Platform: platform}
}

func (s self) cataloguer(platform ocispecs.Platform) catalog.Helper {
	return catalog.Helper{Image: s.image, Binary: Binary, Platform: platform}
}

func (s self) baseFinder(platform ocispecs.Platform) basesbom.Helper {
	return basesbom.Helper{Image: s.image, Binary: Binary, Platform: platform}
}

func (s self) documenter(platform ocispecs.Platform) document.Helper {
	return document.Helper{Image: s.image, Binary: Binary, Platform: platform}
}

func (s self) secrets(c client.Client) credential.BuildSecrets {
	return credential.BuildSecrets{Client: c, Image: s.image, Binary: Binary}
}
