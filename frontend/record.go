// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/provenance/slsa"
)

// recorded are the client's options that can change what a build step does, by
// the names that docs/build-type.md gives them.
var recorded = []struct{ name, opt string }{
	{"addHosts", "add-hosts"},
	{"cgroupParent", "cgroup-parent"},
	{"contextSubdir", "contextsubdir"},
	{"cpuPeriod", "cpuperiod"},
	{"cpuQuota", "cpuquota"},
	{"cpuShares", "cpushares"},
	{"cpusetCpus", "cpusetcpus"},
	{"cpusetMems", "cpusetmems"},
	{"hostname", "hostname"},
	{"memory", "memory"},
	{"memorySwap", "memswap"},
	{"network", "force-network-mode"},
	{"pull", "image-resolve-mode"},
	{"shmSize", "shm-size"},
	{"ulimits", "ulimit"},
}

// sources are where the build's files came from.
type sources struct {
	context  slsa.Context
	contexts map[string]slsa.Context // the named ones
	// fetched is the main context, if BuildKit fetched it: the Dockerfile may
	// come out of it.
	fetched *slsa.ResourceDescriptor
	inputs  map[string]bool // what other builds hand in, by name

	// look finds out about the sources of one platform while its steps run;
	// nil for images that stay unsigned, which nobody tells.
	look  func(*pb.Definition) error
	group errgroup.Group
	mu    sync.Mutex // of facts
	facts materials.Facts
}

// of starts to look for what pins the sources of def.
func (s *sources) of(def *pb.Definition) {
	if s.look != nil {
		s.group.Go(func() error { return s.look(def) })
	}
}

// beginSources has platforms find out about their sources. end stops what
// still goes on.
func (b *build) beginSources(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	b.pinContexts(ctx)
	b.sources.facts = materials.Facts{}
	b.sources.look = func(def *pb.Definition) error {
		facts, err := b.resolver().Resolve(ctx, []*pb.Definition{def})
		b.sources.mu.Lock()
		defer b.sources.mu.Unlock()
		maps.Copy(b.sources.facts, facts)
		return err
	}
	return func() {
		cancel()
		_ = b.sources.group.Wait() // whoever wanted the outcome has it
	}
}

// pinContexts gives named contexts that are images their digest. BuildKit's
// library puts it into the graph for every image of the Dockerfile, and not for
// these, and to ask for it afterwards would be too late: a tag moves.
func (b *build) pinContexts(ctx context.Context) {
	opts := b.gateway.BuildOpts().Opts
	for key, value := range opts {
		if !strings.HasPrefix(key, "context:") {
			continue
		}
		// What cannot be resolved fails where it is used, or is told of as
		// not pinned.
		if pinned, err := b.resolver().PinImage(ctx, value, b.contextPlatform(key)); err == nil {
			opts[key] = pinned
		}
	}
}

// contextPlatform is the one that a named context is for, or one of those that
// it has to have.
func (b *build) contextPlatform(key string) *ocispecs.Platform {
	if _, name, ok := strings.Cut(key, "::"); ok {
		if p, err := platforms.Parse(name); err == nil {
			return &p
		}
	}
	if len(b.ui.TargetPlatforms) > 0 {
		return &b.ui.TargetPlatforms[0]
	}
	return nil
}

func (b *build) resolver() materials.Resolver {
	return materials.Resolver{Client: b.gateway, Image: b.self.image, Binary: Binary, Platform: b.ui.BuildPlatforms[0], Cache: b.ui.CacheImports}
}

// resolveSources waits for what pins the sources of the build, and describes
// its contexts. It comes before the token, which lives for minutes.
func (b *build) resolveSources(ctx context.Context) error {
	if err := b.sources.group.Wait(); err != nil {
		return err
	}
	opts := b.gateway.BuildOpts().Opts
	inputs, err := b.gateway.Inputs(ctx)
	if err != nil {
		return fmt.Errorf("ask for what other builds hand in: %w", err)
	}
	b.sources.inputs = map[string]bool{}
	for name := range inputs {
		b.sources.inputs[name] = true
	}
	b.sources.context, b.sources.fetched = b.resolver().Context(ctx, opts[or(opts["contextkey"], "context")], "context")
	if b.sources.fetched == nil && b.sources.inputs["context"] {
		b.sources.context = slsa.Context{Kind: slsa.ContextInput, URI: "context"}
	}
	b.sources.contexts = map[string]slsa.Context{}
	for key, value := range opts {
		// What comes after :: is the platform that the context is for.
		if name, ok := strings.CutPrefix(key, "context:"); ok && name != settingsContext {
			b.sources.contexts[name], _ = b.resolver().Context(ctx, value, name)
		}
	}
	return nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// mask keeps what must not be published out of what is told of the build. The
// secrets are the ids of those that build steps mount.
func (b *build) mask(defs []*pb.Definition) (m *materials.Mask, secrets []string, err error) {
	secrets, aliases, err := materials.SecretNames(defs)
	if err != nil {
		return nil, nil, err
	}
	return materials.NewMask(append(aliases, secrets...), b.ui.BuildArgs), secrets, nil
}

// external are the parameters under the control of whoever started the build.
func (b *build) external(sealed *collection, m *materials.Mask, secrets []string) slsa.ExternalParameters {
	sum := sha256.Sum256(b.source.Data)
	opts := b.gateway.BuildOpts().Opts
	p := slsa.ExternalParameters{
		Dockerfile: slsa.Dockerfile{Name: m.Text("dockerfile", b.source.Filename), SHA256: hex.EncodeToString(sum[:]), From: b.dockerfileFrom()},
		Target:     m.Text("target", b.ui.Target),
		Platforms:  sealed.platformNames(),
		Args:       m.Args(),
		Labels:     m.Values("labels.", b.ui.Labels),
		Contexts:   map[string]slsa.Context{},
		Secrets:    m.List("secrets", secrets),
		Source:     b.vcs(m),
		Repository: m.Text("repository", b.options.Repository),
	}
	if b.sources.context.Kind != "" {
		p.Context = &b.sources.context
	}
	for name, c := range b.sources.contexts {
		c.URI = m.Public(c.URI)
		p.Contexts[m.Public(name)] = c
	}
	options := map[string]string{}
	for _, o := range recorded {
		if v := opts[o.opt]; v != "" {
			options[o.name] = v
		}
	}
	p.Options = m.Values("options.", options)
	// The addresses themselves are masked by now.
	m.Text("context", opts[or(opts["contextkey"], "context")])
	for key, value := range opts {
		if name, ok := strings.CutPrefix(key, "context:"); ok && name != settingsContext {
			m.Text("contexts."+name, value)
		}
	}
	return p
}

// dockerfileFrom is the kind of context that the Dockerfile was read from.
func (b *build) dockerfileFrom() string {
	switch {
	case b.gateway.BuildOpts().Opts["dockerfilekey"] != "":
		return slsa.ContextLocal
	case b.sources.inputs["dockerfile"]:
		return slsa.ContextInput
	case b.sources.context.Kind == slsa.ContextGit, b.sources.context.Kind == slsa.ContextHTTP:
		return b.sources.context.Kind
	}
	return slsa.ContextLocal
}

// vcs is what buildx says of the checkout that the context came from.
func (b *build) vcs(m *materials.Mask) *slsa.Source {
	opts := b.gateway.BuildOpts().Opts
	s := slsa.Source{
		Repository: m.Text("source.repository", opts["vcs:source"]),
		Revision:   m.Text("source.revision", opts["vcs:revision"]),
		Ref:        m.Text("source.ref", opts["vcs:ref"]),
		Context:    m.Text("source.context", opts["vcs:localdir:context"]),
		Dockerfile: m.Text("source.dockerfile", opts["vcs:localdir:dockerfile"]),
	}
	if s == (slsa.Source{}) {
		return nil
	}
	return &s
}
