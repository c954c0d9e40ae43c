// SPDX-License-Identifier: Apache-2.0

package document

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/spdx"
)

var spec = Spec{
	Image:  sbom.Image{Platform: "linux/amd64", ID: "sha256:" + digest.FromString("config").Encoded(), Created: 1700000000, Tool: "plomb-v0"},
	Layers: []Layer{{Base: true}, {DiffID: digest.FromString("layer").String(), Instruction: "RUN x", Line: 2}},
}

func reports() []*catalog.Result {
	deb := sbom.Package{Type: "deb", Name: "bash", Version: "5"}
	npm := sbom.Package{Type: "npm", Name: "left-pad", Version: "1.0.0"}
	file := func(path string) sbom.File {
		return sbom.File{Path: path, Size: 1, SHA1: "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8", SHA256: digest.FromString("a").Encoded()}
	}
	return []*catalog.Result{
		{Report: sbom.Report{Findings: []sbom.Finding{{Path: "/var/lib/dpkg/status", Packages: []sbom.Package{deb}}}, Files: 2}, Files: []sbom.File{file("/a"), file("/b")}},
		{Report: sbom.Report{Findings: []sbom.Finding{{Path: "/app/package.json", Packages: []sbom.Package{npm}}}, Gone: []string{"/b"}, Files: 2}},
	}
}

// The helper lists files, and the same packages as the frontend would.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"spec", "reports", "out"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	describe := func(spec Spec) {
		data, err := json.Marshal(spec)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "spec", specFile), data, 0o644))
	}
	asked := spec
	asked.Files = true
	describe(asked)
	var plain []*sbom.Report
	for i, r := range reports() {
		at := filepath.Join(dir, "reports", strconv.Itoa(i))
		require.NoError(t, os.Mkdir(at, 0o755))
		require.NoError(t, r.Write(at))
		plain = append(plain, &r.Report)
	}
	to := filepath.Join(dir, "out")
	require.NoError(t, write(filepath.Join(dir, "spec"), filepath.Join(dir, "reports"), to))

	var s Summary
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(to, name))
		require.NoError(t, err)
		return data
	}
	require.NoError(t, json.Unmarshal(read(summaryFile), &s))
	require.Equal(t, Summary{Packages: digest.FromBytes(read(PackagesFile)), Files: digest.FromBytes(read(FilesFile))}, s)
	require.Contains(t, string(read(FilesFile)), `"./a"`)
	require.NotContains(t, string(read(FilesFile)), `"./b"`, "a later layer deleted it")
	require.Contains(t, string(read(PackagesFile)), "DocumentRef-files")

	alone, err := Packages(spec, plain, nil)
	require.NoError(t, err)
	without := t.TempDir()
	describe(spec)
	require.NoError(t, write(filepath.Join(dir, "spec"), filepath.Join(dir, "reports"), without))
	again, err := os.ReadFile(filepath.Join(without, PackagesFile))
	require.NoError(t, err)
	require.Equal(t, string(alone), string(again), "the same document, if nobody asked for files")
	require.NoFileExists(t, filepath.Join(without, FilesFile))
	for _, name := range []string{"bash", "left-pad", "RUN x"} {
		require.Contains(t, string(alone), name)
		require.Contains(t, string(read(PackagesFile)), name)
	}
}

// An image of a distribution whose package manager is not known, or whose
// database somebody deleted, has packages that nobody lists.
func TestDistributionWithoutPackages(t *testing.T) {
	system := &sbom.System{ID: "arch", PrettyName: "Arch Linux"}
	npm := sbom.Finding{Path: "/app/package.json", Packages: []sbom.Package{{Type: "npm", Name: "left-pad", Version: "1.0.0"}}}
	status := sbom.Finding{Path: "/var/lib/dpkg/status", Packages: []sbom.Package{{Type: "deb", Name: "bash", Version: "5"}}}
	for name, row := range map[string]struct {
		base, layer sbom.Report
		says        bool
	}{
		"no distribution":    {sbom.Report{}, sbom.Report{Findings: []sbom.Finding{npm}}, false},
		"no name":            {sbom.Report{System: &sbom.System{}}, sbom.Report{}, false},
		"with packages":      {sbom.Report{System: system, Findings: []sbom.Finding{status}}, sbom.Report{}, false},
		"without packages":   {sbom.Report{System: system}, sbom.Report{Findings: []sbom.Finding{npm}}, true},
		"deleted afterwards": {sbom.Report{System: system, Findings: []sbom.Finding{status}}, sbom.Report{Gone: []string{"/var/lib/dpkg"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			row.layer.Unread = []sbom.Unread{{Path: "/z", Reason: "broken"}, {Path: "/a", Reason: "broken"}}
			inv, err := merge(spec, []*sbom.Report{&row.base, &row.layer})
			require.NoError(t, err)
			paths := []string{"/a", "/z"}
			if row.says {
				paths = []string{"/a", "/etc/os-release", "/z"}
			}
			var got []string
			for _, u := range inv.Unread {
				got = append(got, u.Path)
			}
			require.Equal(t, paths, got)
		})
	}
}

// A helper that fails has its reason in the log alone; one that was asked for
// too much tells the frontend.
func TestTooLargeIsAnAnswer(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, answer(dir, fmt.Errorf("write: %w: too many", spdx.ErrTooLarge)))
	data, err := os.ReadFile(filepath.Join(dir, summaryFile))
	require.NoError(t, err)
	_, err = readSummary(data, spec)
	require.EqualError(t, err, "write: SBOM too large: too many")
	require.ErrorIs(t, answer(dir, os.ErrNotExist), os.ErrNotExist)
	require.NoError(t, answer(dir, nil))
	for _, bad := range []string{`{}`, `{"refused":""}`, `{"packages":"x"}`, `{"refused":"a","other":1}`, ``} {
		_, err := readSummary([]byte(bad), spec)
		require.ErrorContains(t, err, "read the helper's report", bad)
	}
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	require.ErrorIs(t, write(dir, dir, dir), os.ErrNotExist)
	require.NoError(t, os.WriteFile(filepath.Join(dir, specFile), []byte(`{"image":{},"other":1}`), 0o644))
	require.ErrorContains(t, write(dir, dir, dir), "read the description of the image")
	require.NoError(t, os.WriteFile(filepath.Join(dir, specFile), []byte(`{"image":{},"layers":[{}]}`), 0o644))
	require.ErrorIs(t, write(dir, dir, dir), os.ErrNotExist, "a report is missing")
	_, err := Packages(spec, nil, nil)
	require.ErrorContains(t, err, "0 reports of 2 layers")
}

func TestStep(t *testing.T) {
	h := Helper{Image: llb.Image("plomb"), Binary: "/bin/x", Platform: ocispecs.Platform{OS: "linux", Architecture: "arm64"}}
	state, err := h.Write(spec, []llb.State{llb.Image("base"), llb.Image("layer")})
	require.NoError(t, err)
	def, err := state.Marshal(t.Context())
	require.NoError(t, err)
	var run *pb.ExecOp
	for _, dt := range def.Def {
		var op pb.Op
		require.NoError(t, proto.Unmarshal(dt, &op))
		if op.GetExec() != nil {
			require.Equal(t, "arm64", op.Platform.Architecture)
			run = op.GetExec()
		}
	}
	require.Equal(t, []string{"/bin/x", "document"}, run.Meta.Args)
	require.Equal(t, pb.NetMode_NONE, run.Network)
	var mounts []string
	for _, m := range run.Mounts {
		mounts = append(mounts, m.Dest)
		require.Equal(t, m.Dest != outDir, m.Readonly, m.Dest)
	}
	require.ElementsMatch(t, []string{"/", "/spec", "/reports/0", "/reports/1", "/out"}, mounts)
}
