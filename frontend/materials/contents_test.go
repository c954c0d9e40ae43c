// SPDX-License-Identifier: Apache-2.0

package materials

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/contents"
)

func TestReport(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(from, "a"), []byte("a"), 0o640))
	require.NoError(t, os.Symlink("../../etc/passwd", filepath.Join(from, "out")))
	require.NoError(t, report(t.Context(), from, to))
	data, err := os.ReadFile(filepath.Join(to, reportFile))
	require.NoError(t, err)
	got, err := parseReport(data)
	require.NoError(t, err)

	entries, err := contents.Of(t.Context(), contents.Dir(from))
	require.NoError(t, err)
	want, err := contents.Sum(entries)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.EqualValues(t, 1, got.Bytes, "the link is not followed")

	require.Error(t, report(t.Context(), filepath.Join(from, "absent"), to))
}

// Largest first: the report of as many entries as get marks is within bounds.
func TestReportFits(t *testing.T) {
	require.Less(t, contents.MaxMarks*4+1000, maxReport)
}

func TestParseReportRefuses(t *testing.T) {
	for _, text := range []string{"", "{}", `{"digest":"abc"}`, `{"digest":"zz"}`, `{"digest":1}`, `{"digest":"","more":1}`} {
		_, err := parseReport([]byte(text))
		require.ErrorContains(t, err, "read the helper's report", text)
	}
}

// The helper's input is the operation of the build itself: its digest is what
// BuildKit knows it by, so the client sends its files once.
func TestSourceStateIsTheSameOperation(t *testing.T) {
	s := llb.Scratch().File(llb.Copy(llb.Local("context", llb.LocalUniqueID("1"), llb.FollowPaths([]string{"a"})), "a", "/"))
	def, err := s.Marshal(t.Context(), llb.LinuxAmd64)
	require.NoError(t, err)
	var source []byte
	for _, dt := range def.Def {
		var op pb.Op
		require.NoError(t, op.UnmarshalVT(dt))
		if op.GetSource() != nil {
			source = dt
			f, err := filterOf(op.GetSource())
			require.NoError(t, err)
			require.Equal(t, []string{"a"}, f.Follow)
			op.GetSource().Attrs[pb.AttrFollowPaths] = "{"
			_, err = filterOf(op.GetSource())
			require.ErrorContains(t, err, pb.AttrFollowPaths)
		}
	}
	state, err := sourceState(source, def.ToPB())
	require.NoError(t, err)
	one, err := state.Marshal(t.Context())
	require.NoError(t, err)
	require.Len(t, one.Def, 2)
	require.Equal(t, digest.FromBytes(source), digest.FromBytes(one.Def[0]))
}
