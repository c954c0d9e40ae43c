// SPDX-License-Identifier: Apache-2.0

package lineage_test

import (
	"context"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/lineage"
)

const base = "docker-image://docker.io/library/base@sha256:0000000000000000000000000000000000000000000000000000000000000000"

func image() llb.State { return llb.Image(base[len("docker-image://"):]) }

func marshal(t testing.TB, s llb.State) *pb.Definition {
	t.Helper()
	def, err := s.Marshal(context.Background(), llb.LinuxAmd64)
	require.NoError(t, err)
	return def.ToPB()
}

// head tells which output of which operation a definition stands for.
func head(t testing.TB, def *pb.Definition) string {
	t.Helper()
	if len(def.Def) == 0 {
		return "scratch"
	}
	var last pb.Op
	require.NoError(t, proto.Unmarshal(def.Def[len(def.Def)-1], &last))
	require.Len(t, last.Inputs, 1)
	known := map[string]bool{}
	for _, dt := range def.Def {
		known[digest.FromBytes(dt).String()] = true
	}
	require.True(t, known[last.Inputs[0].Digest], "the head is in the definition")
	return last.Inputs[0].Digest + "#" + string(rune('0'+last.Inputs[0].Index))
}

func run(cmd string, opts ...llb.RunOption) llb.StateOption {
	return func(s llb.State) llb.State {
		return s.Run(append([]llb.RunOption{llb.Shlex(cmd), llb.WithCustomName(cmd)}, opts...)...).Root()
	}
}

func file(name string, a *llb.FileAction) llb.StateOption {
	return func(s llb.State) llb.State { return s.File(a, llb.WithCustomName(name)) }
}

// Each row is a way from a base through states, which Of must find again.
func TestOf(t *testing.T) {
	const exec, files, merge = lineage.Exec, lineage.File, lineage.Merge
	local := llb.Local("context", llb.LocalUniqueID("id"))
	other := image().Run(llb.Shlex("other stage")).Root()

	for name, row := range map[string]struct {
		base  llb.State
		steps []llb.StateOption
		kinds []lineage.Kind
	}{
		"scratch":      {base: llb.Scratch()},
		"only a base":  {base: image()},
		"only a local": {base: local},
		"runs": {image(), []llb.StateOption{run("one"), run("two"), run("three")},
			[]lineage.Kind{exec, exec, exec}},
		"files on scratch": {llb.Scratch(), []llb.StateOption{
			file("COPY", llb.Copy(local, "/", "/")), file("WORKDIR", llb.Mkdir("/app", 0o755, llb.WithParents(true)))},
			[]lineage.Kind{files, files}},
		"actions in a row are one step": {image(), []llb.StateOption{
			file("COPY", llb.Mkdir("/a", 0o755).Mkfile("/a/b", 0o644, []byte("x")).Copy(local, "c", "/a/c").Rm("/d").Copy(other, "e", "/f").Symlink("/a", "/l"))},
			[]lineage.Kind{files}},
		"a copy whose source is the state itself": {image(), []llb.StateOption{
			run("one"), func(s llb.State) llb.State { return s.File(llb.Copy(s, "/a", "/b").Copy(s, "/c", "/d")) }},
			[]lineage.Kind{exec, files}},
		"a copy from a stage that goes on from here": {image(), []llb.StateOption{
			run("one"), func(s llb.State) llb.State {
				return s.File(llb.Copy(s.Run(llb.Shlex("later")).Root(), "/a", "/b"))
			}},
			[]lineage.Kind{exec, files}},
		"merges": {image(), []llb.StateOption{run("one"), func(s llb.State) llb.State {
			return llb.Merge([]llb.State{s, llb.Scratch().File(llb.Copy(local, "a", "/")), other}, llb.WithCustomName("COPY --link"))
		}, run("two")},
			[]lineage.Kind{exec, merge, exec}},
		"secret, ssh, cache and tmpfs mounts": {image(), []llb.StateOption{run("one",
			llb.AddSecret("/s1", llb.SecretID("s1")), llb.AddSecret("/s2", llb.SecretID("s2")), llb.AddSSHSocket(),
			llb.AddMount("/cache", llb.Scratch(), llb.AsPersistentCacheDir("id", llb.CacheMountShared)),
			llb.AddMount("/cache2", local, llb.AsPersistentCacheDir("id2", llb.CacheMountPrivate)),
			llb.AddMount("/tmp", llb.Scratch(), llb.Tmpfs())),
			run("two", llb.AddSecret("/s1", llb.SecretID("s1"), llb.SecretAsEnv(true)))},
			[]lineage.Kind{exec, exec}},
		"mounts that write and mounts that read": {image(), []llb.StateOption{run("one",
			llb.AddMount("/a", local), llb.AddMount("/b", other, llb.Readonly), llb.AddMount("/c", local, llb.ForceNoOutput), llb.AddMount("/d", llb.Scratch()))},
			[]lineage.Kind{exec}},
		"a read-only root": {llb.Scratch(), []llb.StateOption{func(s llb.State) llb.State {
			return image().Run(llb.Shlex("x"), llb.ReadonlyRootFS()).AddMount("/out", s)
		}, run("two")},
			[]lineage.Kind{exec, exec}},
		"an output that is not the root": {local, []llb.StateOption{func(s llb.State) llb.State {
			e := image().Run(llb.Shlex("x"), llb.AddSecret("/s", llb.SecretID("s")), llb.AddMount("/first", llb.Scratch()))
			return e.AddMount("/out", s)
		}, func(s llb.State) llb.State {
			e := other.Run(llb.Shlex("y"), llb.AddMount("/first", llb.Scratch()), llb.AddMount("/second", local))
			return e.AddMount("/out", s)
		}},
			[]lineage.Kind{exec, exec}},
	} {
		t.Run(name, func(t *testing.T) {
			state, want := row.base, []string{head(t, marshal(t, row.base))}
			for _, step := range row.steps {
				state = step(state)
				want = append(want, head(t, marshal(t, state)))
			}
			l, err := lineage.Of(marshal(t, state))
			require.NoError(t, err)

			require.Equal(t, want[0], head(t, marshal(t, l.Base)))
			var kinds []lineage.Kind
			for i, step := range l.Steps {
				kinds = append(kinds, step.Kind)
				require.Equal(t, want[i+1], head(t, marshal(t, step.State)), "step %d", i)
			}
			require.Equal(t, row.kinds, kinds)
		})
	}
}

func TestOfNamesSteps(t *testing.T) {
	s := image().With(run("[1/3] RUN one"), file("[2/3] COPY . .", llb.Mkdir("/a", 0o755)))
	l, err := lineage.Of(marshal(t, s.File(llb.Rm("/x"))))
	require.NoError(t, err)
	require.Equal(t, base, l.BaseSource)
	require.Len(t, l.Steps, 3)
	require.Equal(t, "[1/3] RUN one", l.Steps[0].Name)
	require.Equal(t, "[2/3] COPY . .", l.Steps[1].Name)
	require.Empty(t, l.Steps[2].Name)

	l, err = lineage.Of(marshal(t, llb.Scratch().File(llb.Rm("/x"))))
	require.NoError(t, err)
	require.Empty(t, l.BaseSource)
}

// What a step's state leads to must be what the definition had there, also
// when the state is built upon and marshalled again.
func TestStatesCanBeBuiltUpon(t *testing.T) {
	s := image().With(run("one"), run("two"))
	l, err := lineage.Of(marshal(t, s))
	require.NoError(t, err)
	again := l.Base.With(run("one"), run("two"))
	require.Equal(t, head(t, marshal(t, s)), head(t, marshal(t, again)))

	both, err := lineage.Of(marshal(t, image().Run(llb.Shlex("x"),
		llb.AddMount("/lower", l.Steps[0].State, llb.Readonly), llb.AddMount("/upper", l.Steps[1].State, llb.Readonly)).AddMount("/out", l.Steps[0].State)))
	require.NoError(t, err)
	require.Len(t, both.Steps, 2)
	require.Equal(t, head(t, marshal(t, s.With())), head(t, marshal(t, l.Steps[1].State)))
}

// build marshals ops into a definition; point is what the last one is.
func build(t testing.TB, ops ...*pb.Op) *pb.Definition {
	def := &pb.Definition{Metadata: map[string]*pb.OpMetadata{}}
	for _, op := range ops {
		dt, err := proto.MarshalOptions{Deterministic: true}.Marshal(op)
		require.NoError(t, err)
		def.Metadata[digest.FromBytes(dt).String()] = &pb.OpMetadata{}
		def.Def = append(def.Def, dt)
	}
	return def
}

func digestOf(t testing.TB, op *pb.Op) string {
	return digest.FromBytes(build(t, op).Def[0]).String()
}

func TestOfRefusesWhatItCannotFollow(t *testing.T) {
	source := &pb.Op{Op: &pb.Op_Source{Source: &pb.SourceOp{Identifier: base}}}
	at := func(op *pb.Op, index int64) *pb.Op {
		return &pb.Op{Inputs: []*pb.Input{{Digest: digestOf(t, op), Index: index}}}
	}
	input := []*pb.Input{{Digest: digestOf(t, source)}}
	exec := func(mounts ...*pb.Mount) *pb.Op {
		return &pb.Op{Inputs: input, Op: &pb.Op_Exec{Exec: &pb.ExecOp{Meta: &pb.Meta{Args: []string{"x"}}, Mounts: mounts}}}
	}
	files := func(actions ...*pb.FileAction) *pb.Op {
		return &pb.Op{Inputs: input, Op: &pb.Op_File{File: &pb.FileOp{Actions: actions}}}
	}
	for name, op := range map[string]*pb.Op{
		"an exec that writes another output": exec(&pb.Mount{Dest: "/", Input: 0, Output: 1}),
		"an exec without mounts":             exec(),
		"an exec of a missing input":         exec(&pb.Mount{Dest: "/", Input: 1, Output: 0}),
		"an exec of a negative input":        exec(&pb.Mount{Dest: "/", Input: -2, Output: 0}),
		"an exec of a secret":                exec(&pb.Mount{Dest: "/", Input: 0, Output: 0, MountType: pb.MountType_SECRET}),
		"an exec of a cache":                 exec(&pb.Mount{Dest: "/", Input: 0, Output: 0, MountType: pb.MountType_CACHE}),
		"files without actions":              files(),
		"files that write another output":    files(&pb.FileAction{Input: 0, Output: 1}),
		"files without an output":            files(&pb.FileAction{Input: 0, Output: -1}),
		"an action that follows itself":      files(&pb.FileAction{Input: 1, Output: 0}),
		"actions that follow each other":     files(&pb.FileAction{Input: 2, Output: 0}, &pb.FileAction{Input: 1, Output: -1}),
		"an action of a missing action":      files(&pb.FileAction{Input: 9, Output: 0}),
		"an action of a negative input":      files(&pb.FileAction{Input: -7, Output: 0}),
		"an action of a huge input":          files(&pb.FileAction{Input: 1 << 62, Output: 0}),
		"a merge of nothing":                 {Inputs: input, Op: &pb.Op_Merge{Merge: &pb.MergeOp{}}},
		"a merge of a missing input":         {Inputs: input, Op: &pb.Op_Merge{Merge: &pb.MergeOp{Inputs: []*pb.MergeInput{{Input: 3}}}}},
		"a difference":                       {Inputs: input, Op: &pb.Op_Diff{Diff: &pb.DiffOp{Lower: &pb.LowerDiffInput{Input: -1}, Upper: &pb.UpperDiffInput{}}}},
		"another build":                      {Inputs: input, Op: &pb.Op_Build{Build: &pb.BuildOp{}}},
		"no kind at all":                     {Inputs: input},
		"an input without a digest":          {Inputs: []*pb.Input{{}}, Op: &pb.Op_Exec{Exec: &pb.ExecOp{Mounts: []*pb.Mount{{Dest: "/"}}}}},
		"an input that is not there":         {Inputs: []*pb.Input{{Digest: digest.FromString("x").String()}}, Op: &pb.Op_Exec{Exec: &pb.ExecOp{Mounts: []*pb.Mount{{Dest: "/"}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := lineage.Of(build(t, source, op, at(op, 0)))
			require.ErrorIs(t, err, lineage.ErrUnknown)
		})
	}
	good := exec(&pb.Mount{Dest: "/", Input: 0, Output: 0})
	for name, def := range map[string]*pb.Definition{
		"a definition that is no protobuf":     {Def: [][]byte{[]byte("\xff\xff")}, Metadata: map[string]*pb.OpMetadata{"x": {}}},
		"a pointer to nothing":                 build(t, source, &pb.Op{}),
		"a pointer to two things":              build(t, source, &pb.Op{Inputs: append(input, input...)}),
		"a pointer to what is not there":       build(t, at(source, 0)),
		"a pointer without a digest":           build(t, source, &pb.Op{Inputs: []*pb.Input{{}}}),
		"a last operation that is no pointer":  build(t, source, good),
		"an output that the operation has not": build(t, source, good, at(good, 5)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := lineage.Of(def)
			require.ErrorIs(t, err, lineage.ErrUnknown)
		})
	}
	_, err := lineage.Of(build(t, source, good, at(good, 0)))
	require.NoError(t, err, "what the rows above spoil")
}

func FuzzOf(f *testing.F) {
	s := image().With(run("one", llb.AddSecret("/s", llb.SecretID("s"))),
		file("two", llb.Mkdir("/a", 0o755).Copy(llb.Local("c"), "/", "/").Rm("/x")))
	s = llb.Merge([]llb.State{s, llb.Scratch().File(llb.Mkfile("/f", 0o600, nil))})
	for _, state := range []llb.State{s, image(), llb.Scratch()} {
		dt, err := proto.Marshal(marshal(f, state))
		require.NoError(f, err)
		f.Add(dt, uint16(0), uint8(0), false)
		f.Add(dt, uint16(3), uint8(255), true)
	}
	// Bytes of a definition are changed, and, where relink is set, the last
	// operation points to what then precedes it, so that the change is reached.
	f.Fuzz(func(t *testing.T, dt []byte, where uint16, what uint8, relink bool) {
		var def pb.Definition
		if proto.Unmarshal(dt, &def) != nil || len(def.Def) > 100 {
			return
		}
		if n := len(def.Def); n > 1 && relink {
			if op := def.Def[n-2]; len(op) > 0 {
				op[int(where)%len(op)] ^= what
			}
			def.Def[n-1] = build(t, &pb.Op{Inputs: []*pb.Input{{Digest: digest.FromBytes(def.Def[n-2]).String()}}}).Def[0]
		}
		l, err := lineage.Of(&def)
		if err != nil {
			require.ErrorIs(t, err, lineage.ErrUnknown)
			return
		}
		require.LessOrEqual(t, len(l.Steps), len(def.Def))
		for _, step := range l.Steps {
			require.Contains(t, []lineage.Kind{lineage.Exec, lineage.File, lineage.Merge}, step.Kind)
		}
	})
}
