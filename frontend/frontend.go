// SPDX-License-Identifier: Apache-2.0

// Package frontend is plomb's BuildKit frontend: an ordinary Dockerfile in; a
// reproducible, documented and signed image out, all within one build.
//
// Build is the flow. Each sub-folder is one of its steps: lineage finds what
// makes the layers, seal makes them reproducible, foretell knows the image's
// digest before it is exported, materials lists what went in, credential gets
// the signing identity, and attach puts the signature into the image.
//
// Everything that BuildKit's own Dockerfile frontend does, it does through the
// same libraries (dockerfile2llb, dockerui). It verifies nothing.
package frontend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/frontend/subrequests/convertllb"
	"github.com/moby/buildkit/frontend/subrequests/lint"
	"github.com/moby/buildkit/frontend/subrequests/outline"
	"github.com/moby/buildkit/frontend/subrequests/targets"

	"github.com/plombproject/plomb/frontend/attach"
	"github.com/plombproject/plomb/frontend/credential"
)

// A Frontend is the builder's side of plomb. Every field but the last two must
// be set.
type Frontend struct {
	Version string
	Now     func() time.Time
	HTTP    *http.Client // for tokens; Sigstore's services have clients of their own

	// Bases makes a checker of base images from policy files, by name, and a
	// trusted root. nil: a build that brings a policy fails.
	Bases func(policy map[string][]byte, trustedRoot []byte) (BaseChecker, error)
	// Images reads manifests. nil: no manifest on a base is foretold.
	Images Registry
}

// A build is one run of the frontend.
type build struct {
	Frontend
	gateway client.Client
	ui      *dockerui.Client
	options Options
	source  *dockerui.Source
	self    *self
	bases   BaseChecker // nil: no policy for them
	// credential is looked for while the Dockerfile and the settings load.
	credential *lookup
	sources    sources // of signed images, known once the steps are done
	started    time.Time
}

// Build implements client.BuildFunc.
func (f Frontend) Build(ctx context.Context, c client.Client) (_ *client.Result, err error) {
	b, err := f.prepare(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = locate(err, b.source.SourceMap) }()

	if res, done, err := b.subrequest(ctx); done || err != nil {
		return res, err
	}
	files, err := readSettings(ctx, b.ui, c)
	if err != nil {
		return nil, err
	}
	if b.bases, err = b.baseChecker(files); err != nil {
		return nil, err
	}
	signer, err := b.signer(ctx, files)
	if err != nil {
		return nil, err
	}
	scanner, err := b.scanner(ctx)
	if err != nil {
		return nil, err
	}
	b.warnDaemon(ctx, signer.services != nil || b.options.SBOM != SBOMOff)
	if signer.services != nil {
		defer b.beginSources(ctx)()
	}
	sealed := newCollection(b.ui)
	rb, err := b.ui.Build(ctx, sealed.collect(b.platform))
	if err != nil {
		return nil, err
	}
	if err := b.describe(ctx, sealed); err != nil {
		return nil, err
	}
	embedded := b.embedSBOM(ctx, sealed)
	if err := b.scan(ctx, scanner, rb, sealed); err != nil {
		return nil, err
	}
	bundle, err := b.sign(ctx, signer, sealed)
	if err != nil {
		return nil, err
	}
	if err := embedded(); err != nil {
		return nil, err
	}
	b.attachSBOM(rb.Result, sealed, bundle != nil)
	if bundle != nil {
		if err := attach.Bundle(ctx, c, rb.Result, sealed.images(), b.ui.MultiPlatformRequested, bundle); err != nil {
			return nil, err
		}
	}
	return rb.Finalize()
}

// prepare reads the options and the Dockerfile. Bad options end the build here.
func (f Frontend) prepare(ctx context.Context, c client.Client) (*build, error) {
	b := &build{Frontend: f, gateway: discreet{c}, started: f.Now()}
	err := checkCaps(c.BuildOpts().Opts["frontend.caps"])
	if err != nil {
		return nil, err
	}
	if err := checkDaemon(c.BuildOpts()); err != nil {
		return nil, err
	}
	if b.ui, err = dockerui.NewClient(b.gateway); err != nil {
		return nil, err
	}
	if b.options, err = takeOptions(b.ui.BuildArgs); err != nil {
		return nil, err
	}
	if b.self, err = findSelf(ctx, c); err != nil {
		return nil, err
	}
	b.credential = b.lookForCredential(ctx)
	b.source, err = b.ui.ReadEntrypoint(ctx, "Dockerfile")
	return b, err
}

func (b *build) convertOpt(ctx context.Context) dockerfile2llb.ConvertOpt {
	return dockerfile2llb.ConvertOpt{
		Config:       b.ui.Config,
		Client:       b.ui,
		SourceMap:    b.source.SourceMap,
		MetaResolver: b.gateway,
		Warn:         lintWarner(ctx, b.source),
	}
}

// subrequest answers questions about the Dockerfile that are no build.
func (b *build) subrequest(ctx context.Context) (*client.Result, bool, error) {
	opt, data := b.convertOpt(ctx), b.source.Data
	return b.ui.HandleSubrequest(ctx, dockerui.RequestHandler{
		Outline: func(ctx context.Context) (*outline.Outline, error) {
			return dockerfile2llb.Dockerfile2Outline(ctx, data, opt)
		},
		ListTargets: func(ctx context.Context) (*targets.List, error) {
			return dockerfile2llb.ListTargets(ctx, data)
		},
		Lint: func(ctx context.Context) (*lint.LintResults, error) {
			return dockerfile2llb.DockerfileLint(ctx, data, opt)
		},
		ConvertLLB: func(ctx context.Context) (*convertllb.Result, error) {
			return dockerfile2llb.DockerfileConvertLLB(ctx, data, opt)
		},
	})
}

// sign returns the signed bundle, or nil where the image stays unsigned.
func (b *build) sign(ctx context.Context, s *signer, sealed *collection) ([]byte, error) {
	if s.services == nil {
		if b.options.Sign == SignAuto {
			warn(ctx, b.source, "Unsigned", "the image is sealed but NOT signed: the build was given no signing credential. Pass an identity token with --secret id="+credential.IDToken+",src=FILE, or a key with --secret id="+credential.Key+",src=FILE, or say PLOMB_SIGN=off if that is what you want.")
		}
		return nil, nil
	}
	if err := b.resolveSources(ctx); err != nil {
		return nil, fmt.Errorf("write the provenance: %w", err)
	}
	identity, err := s.identity(ctx, b.Now())
	if err != nil {
		return nil, fmt.Errorf("sign the image: %w", err)
	}
	predicate, err := b.provenance(sealed, identity.Builder)
	if err != nil {
		return nil, fmt.Errorf("write the provenance: %w", err)
	}
	statement, err := attach.Statement(sealed.images(), *predicate)
	if err != nil {
		return nil, fmt.Errorf("write the statement: %w", err)
	}
	bundle, err := identity.Sign(ctx, statement)
	if err != nil {
		return nil, fmt.Errorf("sign the image: %w", err)
	}
	return bundle, nil
}

var errCaps = errors.New("the client asks for a frontend capability that plomb does not have")
