// SPDX-License-Identifier: Apache-2.0

package materials

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance/contents"
)

// Command is the sub-command, in the frontend's binary, of the helper that
// digests a local context.
const Command = "contents"

// Mount points in the helper's container, and its report.
const (
	contentsDir = "/contents"
	reportDir   = "/report"
	reportFile  = "contents.json"

	maxReport = 1 << 20 // bytes
)

// contents runs the helper over the local source dt, an operation of def.
// BuildKit keeps what it reports as long as the files stay the same.
func (r Resolver) contents(ctx context.Context, name string, dt []byte, def *pb.Definition) (*contents.Summary, error) {
	folder, err := sourceState(dt, def)
	if err != nil {
		return nil, err
	}
	run := r.Image.Run(
		llb.Args([]string{r.Binary, Command}),
		llb.Network(llb.NetModeNone),
		llb.Platform(r.Platform),
		llb.ReadonlyRootFS(),
		llb.AddMount(contentsDir, folder, llb.Readonly),
		llb.WithCustomName("[plomb] digest context "+name),
	)
	graph, err := run.AddMount(reportDir, llb.Scratch()).Marshal(ctx)
	if err != nil {
		return nil, err
	}
	res, err := r.Client.Solve(ctx, client.SolveRequest{Definition: graph.ToPB(), CacheImports: r.Cache})
	if err != nil {
		return nil, err
	}
	ref, err := res.SingleRef()
	if err != nil {
		return nil, err
	}
	stat, err := ref.StatFile(ctx, client.StatRequest{Path: reportFile})
	if err != nil {
		return nil, fmt.Errorf("find the helper's report: %w", err)
	}
	if stat.Size > maxReport {
		return nil, fmt.Errorf("the helper's report has %d bytes, more than the %d allowed", stat.Size, maxReport)
	}
	data, err := ref.ReadFile(ctx, client.ReadRequest{Filename: reportFile})
	if err != nil {
		return nil, fmt.Errorf("read the helper's report: %w", err)
	}
	return parseReport(data)
}

func parseReport(data []byte) (*contents.Summary, error) {
	var s contents.Summary
	if err := strictjson.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("read the helper's report: %w", err)
	}
	if sum, err := hex.DecodeString(s.Digest); err != nil || len(sum) != 32 {
		return nil, fmt.Errorf("read the helper's report: digest %q is not a SHA-256 in hex", s.Digest)
	}
	return &s, nil
}

// sourceState is a state of its own for one source operation of def: the very
// same operation, so that the client sends its files once.
func sourceState(dt []byte, def *pb.Definition) (llb.State, error) {
	key := digest.FromBytes(dt).String()
	pointer, err := proto.MarshalOptions{Deterministic: true}.Marshal(&pb.Op{Inputs: []*pb.Input{{Digest: key}}})
	if err != nil {
		return llb.State{}, err
	}
	one := &pb.Definition{Def: [][]byte{dt, pointer}, Metadata: map[string]*pb.OpMetadata{}}
	if m := def.Metadata[key]; m != nil {
		one.Metadata[key] = m
	}
	op, err := llb.NewDefinitionOp(one)
	if err != nil {
		return llb.State{}, err
	}
	return llb.NewState(op), nil
}

// Main is the helper: it digests the folder it is given.
func Main(ctx context.Context) error {
	return report(ctx, contentsDir, reportDir)
}

func report(ctx context.Context, from, to string) error {
	entries, err := contents.Of(ctx, contents.Dir(from))
	if err != nil {
		return err
	}
	summary, err := contents.Sum(entries)
	if err != nil {
		return err
	}
	data, err := json.Marshal(summary)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, reportFile), data, 0o644)
}
