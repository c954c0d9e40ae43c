// SPDX-License-Identifier: Apache-2.0

// Package lineage reads, from a marshalled LLB definition, the ordered steps
// that make the layers of its result: from the source that the root
// filesystem starts as, to the step that finishes it.
//
// It only follows; whether the steps are the layers that the image's history
// speaks of is for the caller to check. The operations are those of BuildKit's
// solver/pb.
package lineage

import (
	"errors"
	"fmt"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"
)

// ErrUnknown reports a definition with an operation whose output cannot be
// followed back. It is never guessed at.
var ErrUnknown = errors.New("cannot follow the build graph")

// Kind tells what made a layer.
type Kind string

const (
	Exec  Kind = "exec"  // a RUN
	File  Kind = "file"  // a COPY, ADD, WORKDIR and the like
	Merge Kind = "merge" // a COPY or ADD with --link
	Build Kind = "build" // the result of another frontend
)

// A Step is one operation on the way. Its layer is what State has and the
// State of the step before has not.
type Step struct {
	Kind  Kind
	State llb.State
	// Op is the operation, by the digest that metadata and sources go by.
	Op digest.Digest
	// Name is the operation's name in the progress display, as BuildKit's
	// Dockerfile frontend gave it, or "".
	Name string
}

// ImageScheme starts the identifier of a source that is an image in a registry.
const ImageScheme = "docker-image://"

// A Lineage is the way of a root filesystem.
type Lineage struct {
	// Base is the state before the first step: a source, or scratch.
	Base llb.State
	// BaseSource is the source's identifier (docker-image://…), "" for scratch.
	BaseSource string
	Steps      []Step
}

// position is an output of an operation. A zero digest is scratch.
type position struct {
	op    digest.Digest
	index int64
}

type graph struct {
	def *pb.Definition
	ops map[digest.Digest]*pb.Op
}

// Of returns the lineage of def's result.
func Of(def *pb.Definition) (*Lineage, error) {
	g, at, err := parse(def)
	if err != nil {
		return nil, err
	}
	var l Lineage
	for at.op != "" {
		op := g.ops[at.op]
		if op == nil {
			return nil, fmt.Errorf("%w: operation %s is not in the definition", ErrUnknown, at.op)
		}
		if src := op.GetSource(); src != nil {
			l.BaseSource = src.Identifier
			break
		}
		kind, before, err := back(op, at.index)
		if err != nil {
			return nil, err
		}
		state, err := g.state(at)
		if err != nil {
			return nil, err
		}
		l.Steps = append(l.Steps, Step{Kind: kind, State: state, Op: at.op, Name: g.name(at.op)})
		at = before
		if len(l.Steps) > len(g.ops)*maxActions {
			return nil, fmt.Errorf("%w: it turns in a circle", ErrUnknown)
		}
	}
	for i, j := 0, len(l.Steps)-1; i < j; i, j = i+1, j-1 {
		l.Steps[i], l.Steps[j] = l.Steps[j], l.Steps[i]
	}
	if l.Base, err = g.state(at); err != nil {
		return nil, err
	}
	return &l, nil
}

// maxActions is how often a lineage may pass through one operation.
const maxActions = 64

func parse(def *pb.Definition) (*graph, position, error) {
	g := &graph{def: def, ops: make(map[digest.Digest]*pb.Op, len(def.Def))}
	if len(def.Def) == 0 {
		return g, position{}, nil // scratch
	}
	var last *pb.Op
	for _, dt := range def.Def {
		op := &pb.Op{}
		if err := proto.Unmarshal(dt, op); err != nil {
			return nil, position{}, fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		g.ops[digest.FromBytes(dt)] = op
		last = op
	}
	// The last operation of a definition is nothing but a pointer to the result.
	if last.Op != nil || len(last.Inputs) != 1 {
		return nil, position{}, fmt.Errorf("%w: the definition ends with %T and %d inputs, not with a pointer to one result", ErrUnknown, last.Op, len(last.Inputs))
	}
	at, err := input(last, 0)
	return g, at, err
}

func input(op *pb.Op, i int64) (position, error) {
	if i == int64(pb.Empty) {
		return position{}, nil // scratch
	}
	if i < 0 || i >= int64(len(op.Inputs)) {
		return position{}, fmt.Errorf("%w: an operation has no input %d", ErrUnknown, i)
	}
	in := op.Inputs[i]
	if in.Digest == "" {
		return position{}, fmt.Errorf("%w: an input has no digest", ErrUnknown)
	}
	return position{op: digest.Digest(in.Digest), index: in.Index}, nil
}

// back returns what op's output was before op.
func back(op *pb.Op, output int64) (Kind, position, error) {
	switch {
	case op.GetExec() != nil:
		for _, m := range op.GetExec().Mounts {
			// Secret, SSH and cache mounts carry output 0 as well.
			if m.MountType == pb.MountType_BIND && m.Output == output {
				at, err := input(op, m.Input)
				return Exec, at, err
			}
		}
	case op.GetFile() != nil:
		at, err := backFile(op, output)
		return File, at, err
	case op.GetMerge() != nil:
		if len(op.GetMerge().Inputs) > 0 {
			at, err := input(op, op.GetMerge().Inputs[0].Input)
			return Merge, at, err
		}
	}
	return "", position{}, fmt.Errorf("%w: no way back from output %d of %T", ErrUnknown, output, op.Op)
}

// backFile follows the action that writes output back through the actions of
// the same operation. Inputs of actions count the operation's inputs first,
// then its actions.
func backFile(op *pb.Op, output int64) (position, error) {
	actions := op.GetFile().Actions
	for i, a := range actions {
		if a.Output != output {
			continue
		}
		for range actions {
			if a.Input < int64(len(op.Inputs)) {
				return input(op, a.Input)
			}
			i = int(a.Input) - len(op.Inputs)
			if i >= len(actions) {
				break
			}
			a = actions[i]
		}
	}
	return position{}, fmt.Errorf("%w: no file action writes output %d", ErrUnknown, output)
}

// state returns a state of its own for an output inside the graph.
func (g *graph) state(at position) (llb.State, error) {
	if at.op == "" {
		return llb.Scratch(), nil
	}
	pointer := &pb.Op{Inputs: []*pb.Input{{Digest: string(at.op), Index: at.index}}}
	dt, err := proto.MarshalOptions{Deterministic: true}.Marshal(pointer)
	if err != nil {
		return llb.State{}, err
	}
	def := &pb.Definition{
		Def:      append(append([][]byte{}, g.def.Def[:len(g.def.Def)-1]...), dt),
		Metadata: g.def.Metadata,
		Source:   g.def.Source,
	}
	op, err := llb.NewDefinitionOp(def)
	if err != nil {
		return llb.State{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return llb.NewState(op), nil
}

func (g *graph) name(op digest.Digest) string {
	return g.def.Metadata[string(op)].GetDescription()["llb.customname"]
}
