// SPDX-License-Identifier: Apache-2.0

package materials_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/provenance/slsa"
)

// daemon answers for BuildKit what it fetched.
type daemon struct {
	client.Client
	answer func(*pb.SourceOp) (*sourceresolver.MetaResponse, error)
}

func (d daemon) ResolveSourceMetadata(_ context.Context, op *pb.SourceOp, _ sourceresolver.Opt) (*sourceresolver.MetaResponse, error) {
	return d.answer(op)
}

func describe(t *testing.T, source llb.State, answer *sourceresolver.MetaResponse, err error) slsa.ResourceDescriptor {
	defs := []*pb.Definition{marshal(t, using(source))}
	facts, resolveErr := materials.Resolver{Client: daemon{answer: func(*pb.SourceOp) (*sourceresolver.MetaResponse, error) { return answer, err }}}.Resolve(t.Context(), defs)
	require.NoError(t, resolveErr)
	got, err := materials.Of(defs, "", facts)
	require.NoError(t, err)
	require.Len(t, got, 1)
	return got[0]
}

// What BuildKit says that it fetched is the truth: a source policy may have
// replaced what the Dockerfile says. What it does not tell is not made up.
func TestResolve(t *testing.T) {
	other, commit := digest.FromString("other"), strings.Repeat("c", 40)
	httpSum := func(d digest.Digest) *sourceresolver.MetaResponse {
		return &sourceresolver.MetaResponse{HTTP: &sourceresolver.ResolveHTTPResponse{Digest: d}}
	}
	loose, checked := llb.HTTP("https://example.com/f"), llb.HTTP("https://example.com/f", llb.Checksum(sum))
	git := llb.Git("https://example.com/r.git", "v1")
	sha512 := digest.SHA512.FromString("x")
	for name, row := range map[string]struct {
		source llb.State
		answer *sourceresolver.MetaResponse
		err    error
		want   map[string]string // nil: incomplete
	}{
		"a download":               {loose, httpSum(sum), nil, sha(sum)},
		"a checked one":            {checked, httpSum(sum), nil, sha(sum)},
		"a replaced checksum":      {checked, httpSum(other), nil, sha(other)},
		"no answer to a checked":   {checked, nil, errors.New("old"), sha(sum)},
		"no answer":                {loose, nil, errors.New("old"), nil},
		"an empty answer":          {loose, &sourceresolver.MetaResponse{}, nil, nil},
		"another algorithm":        {loose, httpSum(sha512), nil, nil},
		"checked with another one": {llb.HTTP("https://example.com/f", llb.Checksum(sha512)), nil, nil, map[string]string{"sha512": sha512.Encoded()}},
		"a commit":                 {git, &sourceresolver.MetaResponse{Git: &sourceresolver.ResolveGitResponse{Checksum: commit}}, nil, map[string]string{"gitCommit": commit}},
		"an annotated tag":         {git, &sourceresolver.MetaResponse{Git: &sourceresolver.ResolveGitResponse{Checksum: strings.Repeat("d", 40), CommitChecksum: commit}}, nil, map[string]string{"gitCommit": commit}},
		"no commit":                {git, &sourceresolver.MetaResponse{Git: &sourceresolver.ResolveGitResponse{}}, nil, nil},
		"a blob by digest":         {llb.OCILayout("store/name@" + sum.String()), nil, errors.New("not asked"), sha(sum)},
	} {
		t.Run(name, func(t *testing.T) {
			got := describe(t, row.source, row.answer, row.err)
			require.Equal(t, row.want, got.Digest)
			require.Equal(t, row.want == nil, got.Annotations[slsa.AnnotationIncomplete] == true)
		})
	}
}

// An image that a policy replaces, or that cannot be found, is not pinned to
// another one's digest.
func TestPinImage(t *testing.T) {
	found := &sourceresolver.ResolveImageResponse{Digest: sum}
	for name, row := range map[string]struct {
		answer *sourceresolver.MetaResponse
		err    error
		want   string
	}{
		"found":     {&sourceresolver.MetaResponse{Op: &pb.SourceOp{Identifier: "docker-image://example.com/a:1"}, Image: found}, nil, "docker-image://example.com/a:1@" + sum.String()},
		"replaced":  {&sourceresolver.MetaResponse{Op: &pb.SourceOp{Identifier: "docker-image://example.com/b:1"}, Image: found}, nil, "docker-image://example.com/a:1"},
		"no image":  {&sourceresolver.MetaResponse{}, nil, "docker-image://example.com/a:1"},
		"no digest": {&sourceresolver.MetaResponse{Image: &sourceresolver.ResolveImageResponse{}}, nil, "docker-image://example.com/a:1"},
		"not found": {nil, errors.New("404"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := materials.Resolver{Client: daemon{answer: func(*pb.SourceOp) (*sourceresolver.MetaResponse, error) { return row.answer, row.err }}}
			got, err := r.PinImage(t.Context(), "docker-image://example.com/a:1", nil)
			require.Equal(t, row.want, got)
			require.ErrorIs(t, err, row.err)
		})
	}
}

// A context that is read twice with other filters is there twice, also where
// both come to the same content.
func TestOfKeepsFiltersApart(t *testing.T) {
	a := llb.Local("context", llb.FollowPaths([]string{"a"}))
	b := llb.Local("context", llb.FollowPaths([]string{"b"}))
	defs := []*pb.Definition{marshal(t, using(a, b)), marshal(t, using(b, a))}
	got, err := materials.Of(defs, "", materials.SameContents(t, defs))
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, []string{"a"}, got[0].Annotations[slsa.AnnotationFilter].(slsa.Filter).Follow)
	require.Equal(t, []string{"b"}, got[1].Annotations[slsa.AnnotationFilter].(slsa.Filter).Follow)
}
