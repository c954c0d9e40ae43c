// SPDX-License-Identifier: Apache-2.0

package basesbom

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
	fstypes "github.com/tonistiigi/fsutil/types"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/provenance"
)

func TestHelper(t *testing.T) {
	s := store{}
	root := base(t, s, layer(s.put(t, statement(provenance.PredicateSPDX, spdx)), provenance.PredicateSPDX))
	denied := func(context.Context, Kind, digest.Digest, int64) ([]byte, error) { return nil, ErrDenied }
	broken := func(context.Context, Kind, digest.Digest, int64) ([]byte, error) { return nil, errors.New("no route") }
	for name, row := range map[string]struct {
		args  []string
		read  Reader
		finds bool
		fails string
	}{
		"found":        {[]string{"--image", "example.com/base@" + root.String(), "--platform", "linux/amd64"}, s.read, true, ""},
		"not for it":   {[]string{"--image", "example.com/base@" + root.String(), "--platform", "linux/arm64"}, s.read, false, ""},
		"denied":       {[]string{"--image", "example.com/base@" + root.String(), "--platform", "linux/amd64"}, denied, false, ""},
		"unreachable":  {[]string{"--image", "example.com/base@" + root.String(), "--platform", "linux/amd64"}, broken, false, "no route"},
		"no digest":    {[]string{"--image", "example.com/base:v1", "--platform", "linux/amd64"}, s.read, false, "no digest"},
		"no image":     {[]string{"--platform", "linux/amd64"}, s.read, false, "--image"},
		"no platform":  {[]string{"--image", "example.com/base@" + root.String(), "--platform", "///"}, s.read, false, "///"},
		"unknown flag": {[]string{"--x"}, s.read, false, "-x"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := find(t.Context(), row.args, func(string) Reader { return row.read }, dir)
			if row.fails != "" {
				require.ErrorContains(t, err, row.fails)
				require.NoFileExists(t, filepath.Join(dir, reportFile))
				return
			}
			require.NoError(t, err)
			doc, err := Read(t.Context(), result{dir: dir})
			require.NoError(t, err)
			require.Equal(t, row.finds, doc != nil)
		})
	}
	_, err := Read(t.Context(), result{dir: t.TempDir()})
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A result is a folder that a helper wrote.
type result struct {
	client.Reference
	dir string
}

func (r result) StatFile(_ context.Context, req client.StatRequest) (*fstypes.Stat, error) {
	info, err := os.Stat(filepath.Join(r.dir, req.Path))
	if err != nil {
		return nil, err
	}
	return &fstypes.Stat{Size: info.Size()}, nil
}

func (r result) ReadFile(_ context.Context, req client.ReadRequest) ([]byte, error) {
	return os.ReadFile(filepath.Join(r.dir, req.Filename))
}

func TestStep(t *testing.T) {
	named, err := reference.ParseNormalizedNamed("debian@" + digest.FromString("x").String())
	require.NoError(t, err)
	h := Helper{Image: llb.Image("plomb"), Binary: "/bin/x", Platform: amd64}
	def, err := h.Find(named.(reference.Canonical), amd64).Marshal(t.Context())
	require.NoError(t, err)
	for _, dt := range def.Def {
		var op pb.Op
		require.NoError(t, proto.Unmarshal(dt, &op))
		if run := op.GetExec(); run != nil {
			require.Equal(t, []string{"/bin/x", "base-sbom", "--image", named.String(), "--platform", "linux/amd64"}, run.Meta.Args)
			return
		}
	}
	t.Fatal("there is no run")
}
