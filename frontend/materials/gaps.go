// SPDX-License-Identifier: Apache-2.0

package materials

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"

	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/provenance/slsa"
)

// openings are what a build step can get that is no source of the build graph,
// a row for each kind of gap. names returns a name for each that op has.
var openings = []struct {
	kind  string
	names func(op *pb.ExecOp) []string
}{
	{slsa.GapNetwork, networks},
	{slsa.GapPrivileged, func(op *pb.ExecOp) []string {
		if op.Security == pb.SecurityMode_SANDBOX {
			return nil
		}
		return []string{""}
	}},
	{slsa.GapDevice, func(op *pb.ExecOp) []string {
		return each(op.CdiDevices, func(d *pb.CDIDevice) (string, bool) { return d.Name, true })
	}},
	{slsa.GapCacheMount, func(op *pb.ExecOp) []string {
		return each(op.Mounts, func(m *pb.Mount) (string, bool) {
			return path.Clean(m.CacheOpt.GetID()), m.MountType == pb.MountType_CACHE
		})
	}},
	{slsa.GapSSH, func(op *pb.ExecOp) []string {
		return each(op.Mounts, func(m *pb.Mount) (string, bool) {
			return cmp.Or(m.SSHOpt.GetID(), "default"), m.MountType == pb.MountType_SSH
		})
	}},
	{slsa.GapSecret, func(op *pb.ExecOp) []string {
		files := each(op.Mounts, func(m *pb.Mount) (string, bool) { return m.SecretOpt.GetID(), m.MountType == pb.MountType_SECRET })
		return append(files, each(op.Secretenv, func(e *pb.SecretEnv) (string, bool) { return e.ID, true })...)
	}},
}

// networks is what a step could reach. Any mode but "none" is an open one, and
// also one that is not known yet.
func networks(op *pb.ExecOp) []string {
	switch op.Network {
	case pb.NetMode_NONE:
		return nil
	case pb.NetMode_UNSET:
		return []string{"sandbox"}
	case pb.NetMode_HOST:
		return []string{"host"}
	}
	return []string{op.Network.String()}
}

func each[T any](list []T, name func(T) (string, bool)) []string {
	var names []string
	for _, item := range list {
		if n, ok := name(item); ok {
			names = append(names, n)
		}
	}
	return names
}

// Gaps lists what the steps of defs could get that no dependency tells, sorted
// by kind and name.
func Gaps(defs []*pb.Definition) ([]slsa.Gap, error) {
	found := gaps{}
	for _, def := range defs {
		for _, dt := range def.Def {
			var op pb.Op
			if err := proto.Unmarshal(dt, &op); err != nil {
				return nil, fmt.Errorf("read the build graph: %w", err)
			}
			step := stepOf(def, digest.FromBytes(dt).String())
			if op.GetBuild() != nil {
				found.add(slsa.GapNestedBuild, "", step)
			}
			if op.GetExec() == nil {
				continue
			}
			for _, o := range openings {
				for _, name := range o.names(op.GetExec()) {
					found.add(o.kind, name, step)
				}
			}
		}
	}
	return found.sorted(), nil
}

// gaps are the steps of each gap.
type gaps map[gap]map[slsa.Step]bool

type gap struct{ kind, name string }

func (g gaps) add(kind, name string, step slsa.Step) {
	key := gap{kind, WithoutCredentials(name)}
	if g[key] == nil {
		g[key] = map[slsa.Step]bool{}
	}
	g[key][step] = true
}

func (g gaps) sorted() []slsa.Gap {
	var out []slsa.Gap
	for key, steps := range g {
		out = append(out, slsa.Gap{Kind: key.kind, Name: key.name, Steps: slices.SortedFunc(maps.Keys(steps), compareSteps)})
	}
	slices.SortFunc(out, CompareGaps)
	return out
}

// CompareGaps orders gaps by kind and name.
func CompareGaps(a, b slsa.Gap) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

func compareSteps(a, b slsa.Step) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Name, b.Name))
}

// beginning is what a progress log's line of a build step begins with: stage,
// number and instruction. What follows holds values of build arguments.
var beginning = regexp.MustCompile(`^\[[^\]]*\] (?:ONBUILD )?[A-Z]+\b`)

// stepOf says which instruction an operation came from.
func stepOf(def *pb.Definition, op string) slsa.Step {
	step := slsa.Step{Name: WithoutCredentials(beginning.FindString(def.Metadata[op].GetDescription()["llb.customname"]))}
	for _, at := range def.Source.GetLocations()[op].GetLocations() {
		infos := def.Source.GetInfos()
		if len(at.Ranges) == 0 || int(at.SourceIndex) >= len(infos) || at.SourceIndex < 0 {
			continue
		}
		step.File, step.Line = WithoutCredentials(infos[at.SourceIndex].Filename), int(at.Ranges[0].GetStart().GetLine())
		break
	}
	return step
}

// SecretNames are the ids of the secrets that the steps of defs mount, sorted,
// and the names by which the steps see them.
func SecretNames(defs []*pb.Definition) (ids, aliases []string, err error) {
	seen, seenAs := map[string]bool{}, map[string]bool{}
	for _, def := range defs {
		for _, dt := range def.Def {
			var op pb.Op
			if err := proto.Unmarshal(dt, &op); err != nil {
				return nil, nil, fmt.Errorf("read the build graph: %w", err)
			}
			for _, m := range op.GetExec().GetMounts() {
				if m.MountType == pb.MountType_SECRET {
					seen[m.SecretOpt.GetID()], seenAs[path.Base(m.Dest)] = true, true
				}
			}
			for _, env := range op.GetExec().GetSecretenv() {
				seen[env.ID], seenAs[env.Name] = true, true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(seenAs)), nil
}
