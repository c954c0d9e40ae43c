// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/moby/buildkit/solver/pb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/credential"
	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/provenance/slsa"
)

// recorded are the client's options that can change what a build step does, by
// the names that docs/build-type.md gives them.
var recorded = []struct{ name, opt string }{
	{"addHosts", "add-hosts"},
	{"cgroupParent", "cgroup-parent"},
	{"hostname", "hostname"},
	{"network", "force-network-mode"},
	{"pull", "image-resolve-mode"},
	{"shmSize", "shm-size"},
	{"ulimits", "ulimit"},
}

// sources are where the build's files came from.
type sources struct {
	context  slsa.Context
	contexts map[string]slsa.Context // the named ones

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
	b.sources.context = b.resolver().Context(ctx, opts[or(opts["contextkey"], "context")], "context")
	b.sources.contexts = map[string]slsa.Context{}
	for key, value := range opts {
		// What comes after :: is the platform that the context is for.
		if name, ok := strings.CutPrefix(key, "context:"); ok && name != settingsContext {
			b.sources.contexts[name] = b.resolver().Context(ctx, value, name)
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

// external are the parameters under the control of whoever started the build.
func (b *build) external(sealed *collection, defs []*pb.Definition) (*slsa.ExternalParameters, error) {
	secrets, err := secretIDs(defs)
	if err != nil {
		return nil, err
	}
	var m mask
	sum := sha256.Sum256(b.source.Data)
	opts := b.gateway.BuildOpts().Opts
	p := &slsa.ExternalParameters{
		Dockerfile: slsa.Dockerfile{Name: b.source.Filename, SHA256: hex.EncodeToString(sum[:]), From: b.dockerfileFrom()},
		Target:     b.ui.Target,
		Platforms:  sealed.platformNames(),
		Args:       m.args(b.ui.BuildArgs, secrets),
		Labels:     m.values("labels.", b.ui.Labels),
		Options:    map[string]string{},
		Contexts:   b.sources.contexts,
		Secrets:    secrets,
		Source:     b.vcs(),
		Repository: b.options.Repository,
	}
	if b.sources.context.Kind != "" {
		p.Context = &b.sources.context
	}
	for _, o := range recorded {
		if v := opts[o.opt]; v != "" {
			p.Options[o.name] = v
		}
	}
	for key, value := range opts {
		if key == or(opts["contextkey"], "context") || strings.HasPrefix(key, "context:") {
			m.text(strings.ReplaceAll(key, "context:", "contexts."), value)
		}
	}
	slices.Sort(m.masked)
	p.Masked = m.masked
	return p, nil
}

// dockerfileFrom is the kind of context that the Dockerfile was read from.
func (b *build) dockerfileFrom() string {
	if b.gateway.BuildOpts().Opts["dockerfilekey"] != "" || b.sources.context.Kind == "" {
		return slsa.ContextLocal
	}
	return b.sources.context.Kind
}

// vcs is what buildx says of the checkout that the context came from.
func (b *build) vcs() *slsa.Source {
	opts := b.gateway.BuildOpts().Opts
	s := slsa.Source{
		Repository: materials.WithoutCredentials(opts["vcs:source"]),
		Revision:   opts["vcs:revision"],
		Ref:        opts["vcs:ref"],
		Context:    opts["vcs:localdir:context"],
		Dockerfile: opts["vcs:localdir:dockerfile"],
	}
	if s == (slsa.Source{}) {
		return nil
	}
	return &s
}

// secretIDs are the ids of all secrets that build steps mount, sorted.
func secretIDs(defs []*pb.Definition) ([]string, error) {
	ids := map[string]bool{}
	for _, def := range defs {
		for _, dt := range def.Def {
			var op pb.Op
			if err := proto.Unmarshal(dt, &op); err != nil {
				return nil, fmt.Errorf("read the build graph: %w", err)
			}
			for _, id := range credential.MountedBy(&op) {
				ids[id] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(ids)), nil
}

// A mask keeps secrets out of what is published, and remembers where.
type mask struct{ masked []string }

// text is value without credentials in URLs.
func (m *mask) text(name, value string) string {
	public := materials.WithoutCredentials(value)
	if public != value {
		m.masked = append(m.masked, name)
	}
	return public
}

func (m *mask) values(prefix string, all map[string]string) map[string]string {
	public := map[string]string{}
	for name, value := range all {
		public[name] = m.text(prefix+name, value)
	}
	return public
}

// args are the build arguments that may be published: none that shares its
// name with a secret of the build, no proxy settings, and no credentials in
// URLs.
func (m *mask) args(args map[string]string, secrets []string) map[string]string {
	hidden := map[string]bool{"http_proxy": true, "https_proxy": true, "ftp_proxy": true, "all_proxy": true, "no_proxy": true}
	for _, id := range secrets {
		hidden[strings.ToLower(id)] = true
	}
	public := map[string]string{}
	for name, value := range args {
		if hidden[strings.ToLower(name)] {
			m.masked = append(m.masked, "args."+name)
			continue
		}
		public[name] = m.text("args."+name, value)
	}
	return public
}
