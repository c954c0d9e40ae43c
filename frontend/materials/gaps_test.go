// SPDX-License-Identifier: Apache-2.0

package materials_test

import (
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/provenance/slsa"
)

// run is a step that says nothing by default, with a name as BuildKit gives it.
func run(line int, opts ...llb.RunOption) llb.State {
	at := []*pb.Range{{Start: &pb.Position{Line: int32(line)}, End: &pb.Position{Line: int32(line + 1)}}}
	src := llb.NewSourceMap(nil, "Dockerfile", "Dockerfile", []byte("FROM x\n"))
	return llb.Image("base").Run(append([]llb.RunOption{
		llb.Args([]string{"sh", "-c", "true"}), llb.WithCustomName("[build 2/5] RUN curl s3cr3t"), src.Location(at)}, opts...)...).Root()
}

func TestGaps(t *testing.T) {
	at7 := []slsa.Step{{Name: "[build 2/5] RUN", File: "Dockerfile", Line: 7}}
	none := llb.Network(llb.NetModeNone)
	for name, row := range map[string]struct {
		opts []llb.RunOption
		want []slsa.Gap
	}{
		"closed":  {[]llb.RunOption{none}, nil},
		"default": {nil, []slsa.Gap{{Kind: slsa.GapNetwork, Name: "sandbox", Steps: at7}}},
		"host":    {[]llb.RunOption{llb.Network(llb.NetModeHost)}, []slsa.Gap{{Kind: slsa.GapNetwork, Name: "host", Steps: at7}}},
		"a mode that does not exist yet": {[]llb.RunOption{llb.Network(pb.NetMode(9))},
			[]slsa.Gap{{Kind: slsa.GapNetwork, Name: "9", Steps: at7}}},
		"insecure": {[]llb.RunOption{none, llb.Security(llb.SecurityModeInsecure)}, []slsa.Gap{{Kind: slsa.GapPrivileged, Steps: at7}}},
		"device":   {[]llb.RunOption{none, llb.AddCDIDevice(llb.CDIDeviceName("vendor.com/gpu=1"))}, []slsa.Gap{{Kind: slsa.GapDevice, Name: "vendor.com/gpu=1", Steps: at7}}},
		"cache": {[]llb.RunOption{none, llb.AddMount("/c", llb.Scratch(), llb.AsPersistentCacheDir("go", llb.CacheMountShared))},
			[]slsa.Gap{{Kind: slsa.GapCacheMount, Name: "go", Steps: at7}}},
		"read-only cache": {[]llb.RunOption{none, llb.AddMount("/c", llb.Scratch(), llb.AsPersistentCacheDir("go", llb.CacheMountShared), llb.Readonly)},
			[]slsa.Gap{{Kind: slsa.GapCacheMount, Name: "go", Steps: at7}}},
		"ssh": {[]llb.RunOption{none, llb.AddSSHSocket(llb.SSHID("default"))}, []slsa.Gap{{Kind: slsa.GapSSH, Name: "default", Steps: at7}}},
		"secrets": {[]llb.RunOption{none, llb.AddSecret("/run/secrets/npm", llb.SecretID("npm")), llb.AddSecret("PIP", llb.SecretID("pip"), llb.SecretAsEnv(true))},
			[]slsa.Gap{{Kind: slsa.GapSecret, Name: "npm", Steps: at7}, {Kind: slsa.GapSecret, Name: "pip", Steps: at7}}},
		"other mounts": {[]llb.RunOption{none, llb.AddMount("/t", llb.Scratch(), llb.Tmpfs()), llb.AddMount("/b", llb.Local("context"), llb.Readonly)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := materials.Gaps([]*pb.Definition{marshal(t, run(7, row.opts...)), {}})
			require.NoError(t, err)
			require.Equal(t, row.want, got)
		})
	}
}

func TestGapsAreSortedAndOnce(t *testing.T) {
	a, b := marshal(t, using(run(9), run(3))), marshal(t, run(3))
	for _, defs := range [][]*pb.Definition{{a, b}, {b, a}} {
		got, err := materials.Gaps(defs)
		require.NoError(t, err)
		require.Equal(t, []slsa.Gap{{Kind: slsa.GapNetwork, Name: "sandbox", Steps: []slsa.Step{
			{Name: "[build 2/5] RUN", File: "Dockerfile", Line: 3}, {Name: "[build 2/5] RUN", File: "Dockerfile", Line: 9},
		}}}, got)
	}
}

// A graph that another program wrote may lack what tells its lines, or lie.
func TestGapsOfForeignGraphs(t *testing.T) {
	for name, spoil := range map[string]func(*pb.Definition){
		"no metadata":  func(d *pb.Definition) { d.Metadata = nil },
		"no source":    func(d *pb.Definition) { d.Source = nil },
		"no infos":     func(d *pb.Definition) { d.Source.Infos = nil },
		"wrong index":  func(d *pb.Definition) { everyLocation(d, func(l *pb.Location) { l.SourceIndex = -1 }) },
		"no ranges":    func(d *pb.Definition) { everyLocation(d, func(l *pb.Location) { l.Ranges = nil }) },
		"no positions": func(d *pb.Definition) { everyLocation(d, func(l *pb.Location) { l.Ranges = []*pb.Range{{}} }) },
		"a nested name": func(d *pb.Definition) {
			for _, m := range d.Metadata {
				m.Description = map[string]string{"llb.customname": "s3cr3t [build 1/2] RUN"}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			def := marshal(t, run(7))
			spoil(def)
			got, err := materials.Gaps([]*pb.Definition{def})
			require.NoError(t, err)
			require.Len(t, got, 1)
			require.Len(t, got[0].Steps, 1)
			require.NotContains(t, got[0].Steps[0].Name, "s3cr3t")
		})
	}

	nested, err := proto.Marshal(&pb.Op{Op: &pb.Op_Build{Build: &pb.BuildOp{}}})
	require.NoError(t, err)
	got, err := materials.Gaps([]*pb.Definition{{Def: [][]byte{nested}}})
	require.NoError(t, err)
	require.Equal(t, slsa.GapNestedBuild, got[0].Kind)

	_, err = materials.Gaps([]*pb.Definition{{Def: [][]byte{{0xff}}}})
	require.ErrorContains(t, err, "read the build graph")
}

func everyLocation(def *pb.Definition, f func(*pb.Location)) {
	for _, locations := range def.Source.Locations {
		for _, l := range locations.Locations {
			f(l)
		}
	}
}

func TestSecretNames(t *testing.T) {
	def := marshal(t, run(1, llb.AddSecret("/run/secrets/config.json", llb.SecretID("NPM_TOKEN")), llb.AddSecret("PIP", llb.SecretID("pip-password"), llb.SecretAsEnv(true))))
	ids, aliases, err := materials.SecretNames([]*pb.Definition{{}, def, def})
	require.NoError(t, err)
	require.Equal(t, []string{"NPM_TOKEN", "pip-password"}, ids)
	require.Equal(t, []string{"PIP", "config.json"}, aliases)

	_, _, err = materials.SecretNames([]*pb.Definition{{Def: [][]byte{{0xff}}}})
	require.ErrorContains(t, err, "read the build graph")
}
