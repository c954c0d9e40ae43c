// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/frontend/catalog/document"
	"github.com/plombproject/plomb/provenance/sbom"
)

// requireSBOM checks the one attestation of an unsigned image, and returns the
// document.
func requireSBOM(t *testing.T, res *client.Result, id string, inlineOnly bool) map[string]any {
	t.Helper()
	require.Len(t, res.Attestations[id], 1)
	a := res.Attestations[id][0]
	require.Equal(t, "https://spdx.dev/Document", a.InToto.PredicateType)
	require.Equal(t, "sbom.spdx.json", a.Path)
	require.Equal(t, map[bool]string{true: "true", false: "false"}[inlineOnly], string(a.Metadata["inline-only"]))
	require.NotContains(t, a.Metadata, "sbom-core", "BuildKit would encode the document anew")
	data := embedded(t, a.Ref.(solved).def)
	again, err := json.Marshal(json.RawMessage(data))
	require.NoError(t, err)
	require.Equal(t, string(data), string(again), "the exporter encodes it anew")
	var doc map[string]any
	require.NoError(t, json.Unmarshal(data, &doc))
	return doc
}

// embedded is the content of the only file that a definition makes.
func embedded(t *testing.T, def *pb.Definition) []byte {
	var data []byte
	for _, dt := range def.Def {
		var op pb.Op
		require.NoError(t, proto.Unmarshal(dt, &op))
		for _, action := range op.GetFile().GetActions() {
			require.Nil(t, data)
			data = action.GetMkfile().GetData()
		}
	}
	return data
}

// execs are the runs of one helper in everything that was solved, by digest.
func (g *gateway) execs(command string) map[string]*pb.ExecOp {
	found := map[string]*pb.ExecOp{}
	for _, def := range g.solved {
		ops, _ := parse(g.t, def)
		for dgst, op := range ops {
			if args := op.GetExec().GetMeta().GetArgs(); len(args) > 1 && args[1] == command {
				found[dgst] = op.GetExec()
			}
		}
	}
	return found
}

func TestLevels(t *testing.T) {
	for level, row := range map[string]struct {
		flags     string // of every seal
		looks     int    // at the base
		documents []string
	}{
		"off":      {"", 0, nil},
		"packages": {"--catalog packages", 1, []string{"sbom.spdx.json"}},
		"files":    {"--catalog files", 1, []string{"sbom.spdx.json", "sbom-files.spdx.json"}},
	} {
		t.Run(level, func(t *testing.T) {
			g := newGateway(t, dockerfile, signOff, "build-arg:PLOMB_SBOM="+level)
			res, err := g.build()
			require.NoError(t, err)
			for _, s := range g.seals() {
				args := strings.Join(s.Meta.Args, " ")
				require.Contains(t, args, row.flags)
				require.Equal(t, level != "off", strings.Contains(args, "--catalog"))
			}
			looks := g.execs(catalog.Command)
			require.Len(t, looks, row.looks)
			for _, l := range looks {
				require.Equal(t, []string{"/plomb-frontend", "catalog", "--level", level}, l.Meta.Args)
				require.Equal(t, pb.NetMode_NONE, l.Network)
				for _, m := range l.Mounts {
					require.Equal(t, m.Dest != "/report", m.Readonly, m.Dest)
				}
			}
			require.Len(t, g.execs(document.Command), map[bool]int{true: 1}[level == "files"])
			var paths []string
			for _, a := range res.Attestations["linux/amd64"] {
				paths = append(paths, a.Path)
				require.Equal(t, "false", string(a.Metadata["inline-only"]), "it was asked for")
			}
			require.Equal(t, row.documents, paths)
		})
	}
}

// A document that does not fit into a message is written where it belongs.
func TestLargeSBOM(t *testing.T) {
	for packages, helpers := range map[int]int{100: 0, 4000: 1} {
		g := newGateway(t, "FROM base\nRUN a\n", signOff)
		for i := range packages {
			g.more = append(g.more, sbom.Package{Type: "npm", Name: fmt.Sprint(i), Version: "1", Summary: strings.Repeat("s", sbom.MaxText)})
		}
		res, err := g.build()
		require.NoError(t, err)
		require.Len(t, res.Attestations["linux/amd64"], 1)
		require.Equal(t, "sbom.spdx.json", res.Attestations["linux/amd64"][0].Path)
		require.Len(t, g.execs(document.Command), helpers, packages)
		for _, def := range g.solved {
			require.Less(t, proto.Size(def), 16<<20, "BuildKit's messages have no more")
		}
	}
}

// Every package is told with the line of the Dockerfile that brought it.
func TestSBOMNamesInstructions(t *testing.T) {
	g := newGateway(t, "FROM base\nARG TOKEN=hidden\nRUN PASSWORD=hunter2 echo ${TOKEN} \\\n  # a comment\n  && true\nCOPY a /\n", signOff, "build-arg:TOKEN=secret-value")
	res, err := g.build()
	require.NoError(t, err)
	text := fmt.Sprint(requireSBOM(t, res, "linux/amd64", true))
	for _, says := range []string{" echo ${TOKEN} && true", "COPY a /", "bash", "npm-from-"} {
		require.Contains(t, text, says)
	}
	require.NotContains(t, text, "hunter2", "nor what the Dockerfile should not have in it")
	require.NotContains(t, text, "secret-value", "a build argument's value is no business of the SBOM's")
}

func TestInstructionOf(t *testing.T) {
	op := digest.FromString("op")
	def := func(first, last int32, index int32, source string) *pb.Definition {
		return &pb.Definition{Source: &pb.Source{
			Infos: []*pb.SourceInfo{{Data: []byte(source)}},
			Locations: map[string]*pb.Locations{op.String(): {Locations: []*pb.Location{{SourceIndex: index,
				Ranges: []*pb.Range{{Start: &pb.Position{Line: first}, End: &pb.Position{Line: last}}}}}}},
		}}
	}
	for name, row := range map[string]struct {
		def  *pb.Definition
		want instruction
	}{
		"one line":       {def(2, 2, 0, "FROM x\n  RUN   a  b\n"), instruction{"RUN a b", 2}},
		"several":        {def(1, 4, 0, "RUN a \\\n# note\n\n  b"), instruction{"RUN a b", 1}},
		"beyond the end": {def(1, 9, 0, "RUN a"), instruction{"fallback", 0}},
		"before it":      {def(0, 1, 0, "RUN a"), instruction{"fallback", 0}},
		"backwards":      {def(2, 1, 0, "a\nb"), instruction{"fallback", 0}},
		"no such file":   {def(1, 1, 3, "a"), instruction{"fallback", 0}},
		"not known":      {&pb.Definition{}, instruction{"fallback", 0}},
		"long":           {def(1, 1, 0, "RUN "+strings.Repeat("ä", 1000)), instruction{"RUN " + strings.Repeat("ä", 196) + "…", 1}},
		"not UTF-8":      {def(1, 1, 0, "RUN \xff"), instruction{"RUN ?", 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := instructionOf(row.def, op, "fallback")
			got.text = shorten(got.text)
			require.Equal(t, row.want, got)
			require.LessOrEqual(t, len(got.text), maxInstruction)
		})
	}
}

func TestInputs(t *testing.T) {
	sum := digest.FromString("x")
	compiler, tools := llb.Image("gcc:12@"+sum.String()), llb.Image("example.com/tools@"+sum.String())
	built := compiler.Run(llb.Shlex("make")).Root()
	file := llb.HTTP("https://user:pass@example.com/f", llb.Checksum(sum))
	base := llb.Image("debian:12@" + sum.String())
	state := base.File(llb.Copy(built, "/out", "/")).File(llb.Copy(tools, "/x", "/")).File(llb.Copy(file, "f", "/")).
		File(llb.Copy(llb.Local("context"), "a", "/")).Run(llb.Shlex("true")).Root()
	def, err := state.Marshal(t.Context(), llb.LinuxAmd64)
	require.NoError(t, err)

	purl := func(name string) string {
		return "pkg:docker/" + name + "?digest=" + sum.String() + "&platform=linux%2Famd64"
	}
	got, err := inputs(def.ToPB(), &sbom.BaseImage{PURL: purl("debian@12")}, "", nil)
	require.NoError(t, err)
	checksums := map[string]string{"SHA256": sum.Encoded()}
	require.Equal(t, []sbom.Input{
		{Name: "https://example.com/f", URI: "https://example.com/f", Checksums: checksums, Use: sbom.UseDependency},
		{Name: "example.com/tools", PURL: purl("example.com/tools"), URI: purl("example.com/tools"), Checksums: checksums, Use: sbom.UseDependency},
		{Name: "gcc:12", PURL: purl("gcc@12"), URI: purl("gcc@12"), Checksums: checksums, Use: sbom.UseTool},
	}, got)
}

func TestBaseImage(t *testing.T) {
	sum := digest.FromString("x")
	doc := &sbom.Document{Namespace: "n"}
	amd64 := ocispecs.Platform{OS: "linux", Architecture: "amd64"}
	got, err := baseImage("docker-image://docker.io/library/debian:12@"+sum.String(), amd64, doc)
	require.NoError(t, err)
	require.Equal(t, &sbom.BaseImage{Reference: "docker.io/library/debian:12", Digest: sum.String(),
		PURL: "pkg:docker/debian@12?digest=" + sum.String() + "&platform=linux%2Famd64", SBOM: doc}, got)
	for _, none := range []string{"", "oci-layout://x@" + sum.String(), inputSource} {
		got, err := baseImage(none, amd64, nil)
		require.NoError(t, err)
		require.Nil(t, got)
	}
}

// A base image's own SBOM is referred to; one that cannot be read is warned of.
func TestBaseSBOM(t *testing.T) {
	for name, row := range map[string]struct {
		found  string
		refers bool
		warns  bool
	}{
		"none":   {`{}`, false, false},
		"there":  {`{"document":{"Namespace":"https://example.com/base","SHA1":"` + strings.Repeat("a", 40) + `"}}`, true, false},
		"broken": {`{"document":1}`, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, dockerfile, signOff)
			g.baseSBOM = row.found
			res, err := g.build()
			require.NoError(t, err)
			require.Equal(t, row.warns, strings.Contains(strings.Join(g.warnings, ""), "BaseSBOM"), g.warnings)
			require.Equal(t, row.refers, strings.Contains(fmt.Sprint(requireSBOM(t, res, "linux/amd64", true)), "https://example.com/base"))
		})
	}
}
