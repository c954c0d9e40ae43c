// SPDX-License-Identifier: Apache-2.0

package materials

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/provenance/contents"
	"github.com/plombproject/plomb/provenance/slsa"
)

// A Resolver finds out about sources what the build graph does not tell. It
// is asked within the build that used them: BuildKit answers from what it
// fetched for that build.
type Resolver struct {
	Client   client.Client
	Image    llb.State         // the frontend's image
	Binary   string            // its program
	Platform ocispecs.Platform // where helpers run
	Cache    []client.CacheOptionsEntry
}

// Facts are what is known of source operations, by the digest of the operation.
type Facts map[digest.Digest]*Fact

// A Fact pins one source.
type Fact struct {
	digest   map[string]string
	contents *contents.Summary // of a local source
	filter   slsa.Filter       // of a local source
}

func (f Fact) describe(d *slsa.ResourceDescriptor) {
	d.Digest = f.digest
	if f.contents == nil {
		return
	}
	d.Annotations = map[string]any{slsa.AnnotationContents: f.contents}
	if f.filter.Include != nil || f.filter.Exclude != nil || f.filter.Follow != nil {
		d.Annotations[slsa.AnnotationFilter] = f.filter
	}
}

// Resolve finds what pins the sources of defs. What cannot be found out is
// left out, and listed as incomplete later; a local context always can.
func (r Resolver) Resolve(ctx context.Context, defs []*pb.Definition) (Facts, error) {
	facts := Facts{}
	for _, def := range defs {
		for _, dt := range def.Def {
			var op pb.Op
			if err := proto.Unmarshal(dt, &op); err != nil {
				return nil, fmt.Errorf("read the build graph: %w", err)
			}
			key := digest.FromBytes(dt)
			if op.GetSource() == nil || facts[key] != nil {
				continue
			}
			fact, err := r.source(ctx, op.GetSource(), dt, def)
			if err != nil {
				return nil, err
			}
			if fact != nil {
				facts[key] = fact
			}
		}
	}
	return facts, nil
}

func (r Resolver) source(ctx context.Context, src *pb.SourceOp, dt []byte, def *pb.Definition) (*Fact, error) {
	name, local := strings.CutPrefix(src.Identifier, "local://")
	if local {
		filter, err := filterOf(src)
		if err != nil {
			return nil, fmt.Errorf("local context %q: %w", name, err)
		}
		summary, err := r.contents(ctx, name, dt, def)
		if err != nil {
			return nil, fmt.Errorf("digest the local context %q: %w", name, err)
		}
		return &Fact{digest: map[string]string{contents.Algorithm: summary.Digest}, contents: summary, filter: filter}, nil
	}
	if known := r.metadata(ctx, src); known != nil {
		return &Fact{digest: known}, nil
	}
	return nil, nil
}

// metadata asks what a Git reference or a URL stands for in this build.
func (r Resolver) metadata(ctx context.Context, src *pb.SourceOp) map[string]string {
	scheme, _, _ := strings.Cut(src.Identifier, "://")
	if scheme != "git" && scheme != "http" && scheme != "https" {
		return nil
	}
	op := proto.CloneOf(src)
	got, err := r.Client.ResolveSourceMetadata(ctx, op, sourceresolver.Opt{LogName: "[plomb] resolve " + WithoutCredentials(src.Identifier)})
	switch {
	case err != nil || got == nil:
		// An old BuildKit, or a server that has gone away since. The source
		// is listed as incomplete, which is the truth.
		return nil
	case got.Git != nil && got.Git.CommitChecksum != "":
		return map[string]string{"gitCommit": got.Git.CommitChecksum} // of an annotated tag
	case got.Git != nil && got.Git.Checksum != "":
		return map[string]string{"gitCommit": got.Git.Checksum}
	case got.HTTP != nil && got.HTTP.Digest.Algorithm() == digest.SHA256:
		return map[string]string{"sha256": got.HTTP.Digest.Encoded()}
	}
	return nil
}

// Context describes the context that value stands for, as a client hands it to
// the frontend; name is that of a local one. What BuildKit fetched for it is
// returned as well: a Dockerfile that comes out of it is in no build graph.
func (r Resolver) Context(ctx context.Context, value, name string) (slsa.Context, *slsa.ResourceDescriptor) {
	if git, ok, err := dockerui.DetectGitContext(value, nil); ok && err == nil {
		return r.fetched(ctx, slsa.ContextGit, value, git)
	}
	if file, _, ok := dockerui.DetectHTTPContext(value); ok {
		return r.fetched(ctx, slsa.ContextHTTP, value, file)
	}
	scheme, rest, _ := strings.Cut(value, ":")
	switch scheme {
	case "docker-image":
		return slsa.Context{Kind: slsa.ContextImage, URI: WithoutCredentials(value)}, nil
	case "oci-layout":
		return slsa.Context{Kind: slsa.ContextLayout, URI: WithoutCredentials(value)}, nil
	case "input", "target":
		return slsa.Context{Kind: slsa.ContextInput, URI: WithoutCredentials(rest)}, nil
	case "local":
		return slsa.Context{Kind: slsa.ContextLocal, URI: WithoutCredentials(rest)}, nil
	}
	return slsa.Context{Kind: slsa.ContextLocal, URI: name}, nil
}

// PinImage adds the digest to the value of a context that is an image named
// without one. Every other value is returned as it is. The image has to have
// platform, nil for that of the builder.
func (r Resolver) PinImage(ctx context.Context, value string, platform *ocispecs.Platform) (string, error) {
	name, ok := strings.CutPrefix(value, "docker-image:")
	name = strings.TrimPrefix(name, "//")
	if !ok || name == dockerui.EmptyImageName {
		return value, nil
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", err
	}
	if _, pinned := named.(reference.Digested); pinned {
		return value, nil
	}
	named = reference.TagNameOnly(named)
	id := imageScheme + named.String()
	got, err := r.Client.ResolveSourceMetadata(ctx, &pb.SourceOp{Identifier: id}, sourceresolver.Opt{
		LogName: "[plomb] resolve " + id,
		// Without NoConfig: BuildKit v0.33 tells the digest with the config only.
		ImageOpt: &sourceresolver.ResolveImageOpt{Platform: platform},
	})
	if err != nil {
		return "", err
	}
	// A source policy may have it be another one.
	if got.Op != nil && got.Op.Identifier != id || got.Image == nil || got.Image.Digest == "" {
		return value, nil
	}
	pinned, err := reference.WithDigest(named, got.Image.Digest)
	if err != nil {
		return "", err
	}
	return imageScheme + pinned.String(), nil
}

// fetched describes a context that is a state of one source.
func (r Resolver) fetched(ctx context.Context, kind, value string, s *llb.State) (slsa.Context, *slsa.ResourceDescriptor) {
	c := slsa.Context{Kind: kind, URI: WithoutCredentials(value)}
	def, err := s.Marshal(ctx)
	if err != nil {
		return c, nil
	}
	for _, dt := range def.Def {
		var op pb.Op
		if err := proto.Unmarshal(dt, &op); err != nil || op.GetSource() == nil {
			continue
		}
		var known *Fact
		if c.Digest = r.metadata(ctx, op.GetSource()); c.Digest != nil {
			known = &Fact{digest: c.Digest}
		}
		d, err := descriptor(op.GetSource(), op.Platform, known)
		if err != nil {
			return c, nil
		}
		return c, &d
	}
	return c, nil
}

// filterOf is what the build asked the client for.
func filterOf(src *pb.SourceOp) (slsa.Filter, error) {
	var f slsa.Filter
	for attr, to := range map[string]*[]string{
		pb.AttrIncludePatterns: &f.Include, pb.AttrExcludePatterns: &f.Exclude, pb.AttrFollowPaths: &f.Follow,
	} {
		if text := src.Attrs[attr]; text != "" {
			if err := json.Unmarshal([]byte(text), to); err != nil {
				return f, fmt.Errorf("attribute %s: %w", attr, err)
			}
		}
	}
	return f, nil
}
