// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/lineage"
)

var (
	// ErrBase reports an image that the policy does not let into the build.
	ErrBase = errors.New("base image refused")
	// ErrNoPolicyCheck reports a policy in a frontend that cannot apply one.
	ErrNoPolicyCheck = errors.New("this frontend cannot check base images")
)

// A BaseChecker decides whether a build may use an image. The frontend does
// not know how: cmd/plomb-frontend brings the two together.
type BaseChecker interface {
	// CheckBase returns nil if the image named name, which ends in a digest,
	// may be used on platform; otherwise why not.
	CheckBase(ctx context.Context, name string, platform ocispecs.Platform) error
}

// A Registry reads what BuildKit does not tell of an image.
type Registry interface {
	// Layers returns the layers of the image named name, which ends in a
	// digest, for platform, as its manifest lists them.
	Layers(ctx context.Context, name string, platform ocispecs.Platform) ([]ocispecs.Descriptor, error)
}

// baseChecker is the checker for the policy of this build, nil for none.
func (b *build) baseChecker(s *settings) (BaseChecker, error) {
	if s.policy == nil {
		return nil, nil
	}
	if b.Bases == nil {
		return nil, fmt.Errorf("build context %q has %s/: %w", settingsContext, policyDir, ErrNoPolicyCheck)
	}
	checker, err := b.Bases(s.policy, s.trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("build context %q: %w", settingsContext, err)
	}
	return checker, nil
}

// checkBases checks every image that the build graph uses, before anything of
// it is run: bases of all stages, and images that COPY or RUN take files from.
func (b *build) checkBases(ctx context.Context, def *pb.Definition) error {
	if b.bases == nil {
		return nil
	}
	for _, dt := range def.Def {
		var op pb.Op
		if err := proto.Unmarshal(dt, &op); err != nil {
			return fmt.Errorf("read the build graph: %w", err)
		}
		if op.GetSource() == nil {
			continue
		}
		if err := b.checkSource(ctx, op.GetSource().Identifier, op.Platform); err != nil {
			return locateOp(fmt.Errorf("%w: %w", ErrBase, err), def, digest.FromBytes(dt).String())
		}
	}
	return nil
}

func (b *build) checkSource(ctx context.Context, source string, platform *pb.Platform) error {
	if strings.HasPrefix(source, "oci-layout") {
		return fmt.Errorf("%s: plomb cannot check an image that only the client has; push it and name it by its registry", source)
	}
	name, ok := strings.CutPrefix(source, lineage.ImageScheme)
	if !ok {
		return nil
	}
	var p ocispecs.Platform
	if platform != nil {
		p = platform.Spec()
	}
	return b.bases.CheckBase(ctx, name, p)
}
