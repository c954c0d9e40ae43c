// SPDX-License-Identifier: Apache-2.0

package output

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/stretchr/testify/require"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// A result has one file, and counts how often it is read.
type result struct {
	client.Client
	client.Reference
	data  []byte
	size  int64 // what StatFile says
	reads *int
	err   error
}

func (r result) Solve(context.Context, client.SolveRequest) (*client.Result, error) {
	res := client.NewResult()
	res.SetRef(r)
	return res, r.err
}

func (r result) StatFile(context.Context, client.StatRequest) (*fstypes.Stat, error) {
	return &fstypes.Stat{Size: r.size}, r.err
}

func (r result) ReadFile(_ context.Context, req client.ReadRequest) ([]byte, error) {
	*r.reads++
	if req.Range == nil {
		return r.data, nil
	}
	from := min(req.Range.Offset, len(r.data))
	return r.data[from:min(from+req.Range.Length, len(r.data))], nil
}

func TestRead(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), piece/8+1)
	for name, row := range map[string]struct {
		data  []byte
		size  int64
		limit int64
		reads int
		fails string
	}{
		"small":       {[]byte("x"), 1, 10, 1, ""},
		"empty":       {nil, 0, 10, 1, ""},
		"in pieces":   {large, int64(len(large)), 1 << 30, 3, ""},
		"too large":   {large, int64(len(large)), 100, 0, "more than the 100 allowed"},
		"cut short":   {large[:piece], int64(len(large)), 1 << 30, 2, "ends after"},
		"size of lie": {[]byte("x"), -1, 10, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var reads int
			got, err := Read(t.Context(), result{data: row.data, size: row.size, reads: &reads}, "f", row.limit)
			require.Equal(t, row.reads, reads)
			if row.fails != "" {
				require.ErrorContains(t, err, row.fails)
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.data, got)
		})
	}
	_, err := Read(t.Context(), result{err: errors.New("gone")}, "f", 1)
	require.ErrorContains(t, err, "find the helper's report f: gone")
}

func TestSolve(t *testing.T) {
	graph, err := llb.Scratch().Marshal(t.Context())
	require.NoError(t, err)
	ref, err := Solve(t.Context(), result{data: []byte("x")}, graph, nil)
	require.NoError(t, err)
	require.NotNil(t, ref)
	_, err = Solve(t.Context(), result{err: errors.New("no such step")}, graph, nil)
	require.ErrorContains(t, err, "no such step")
}
