// SPDX-License-Identifier: Apache-2.0

package document_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/internal/document"
)

const (
	index    = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}]}`
	manifest = `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}`
)

// fixed is a store that gives the same bytes for everything.
type fixed []byte

func (f fixed) Open(context.Context, document.Kind, digest.Digest) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(f)), nil
}

func TestFetchChecksTheDigestAndTheSize(t *testing.T) {
	ctx := context.Background()
	want := document.Digest([]byte("hello"))
	data, err := document.Fetch(ctx, fixed("hello"), document.Blob, want, 5)
	require.NoError(t, err)
	require.Equal(t, "hello", string(data))

	_, err = document.Fetch(ctx, fixed("hellO"), document.Blob, want, 5)
	require.ErrorIs(t, err, document.ErrDigest)
	_, err = document.Fetch(ctx, fixed("hello"), document.Blob, want, 4)
	require.ErrorIs(t, err, limit.ErrTooLarge)
	for _, d := range []digest.Digest{"", "sha256:../../etc/passwd", digest.Digest(strings.ToUpper(string(want))), "sha512:" + digest.Digest(strings.Repeat("0", 128))} {
		_, err = document.Fetch(ctx, fixed("hello"), document.Blob, d, 5)
		require.ErrorIs(t, err, document.ErrDigest, d)
	}
}

func TestParse(t *testing.T) {
	p, err := document.Parse([]byte(index))
	require.NoError(t, err)
	require.NotNil(t, p.Index)
	p, err = document.Parse([]byte(manifest))
	require.NoError(t, err)
	require.NotNil(t, p.Manifest)

	for _, bad := range []string{
		strings.Replace(index, "sha256:e3", "sha256:E3", 1),
		strings.Replace(index, "schemaVersion\":2", "schemaVersion\":3", 1),
		strings.Replace(index, `"manifests"`, `"config":null,"manifests"`, 1),
		strings.Replace(manifest, `"layers":[]`, `"layers":[],"manifests":null`, 1),
		strings.Replace(manifest, `"layers":[]`, `"layers":[{"digest":"md5:00"}]`, 1),
		strings.Replace(manifest, `"layers":[]`, `"layers":{}`, 1),
		index + "\n" + index,
		`{"schemaVersion":2,"manifests":[` + strings.Repeat(`{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},`, document.MaxEntries) +
			`{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}`,
	} {
		_, err := document.Parse([]byte(bad))
		require.ErrorIs(t, err, document.ErrMalformed, bad[:80])
	}
}

// FuzzParse: whatever the bytes, at most one reading comes out, and every
// digest in it can be asked for.
func FuzzParse(f *testing.F) {
	f.Add([]byte(index))
	f.Add([]byte(manifest))
	f.Add([]byte(`{"schemaVersion":2,"manifests":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := document.Parse(data)
		if err != nil {
			require.ErrorIs(t, err, document.ErrMalformed)
			return
		}
		require.NotEqual(t, p.Index == nil, p.Manifest == nil)
		if p.Index != nil {
			for _, d := range p.Index.Manifests {
				require.NoError(t, document.CheckDigest(d.Digest))
			}
			return
		}
		require.NoError(t, document.CheckDigest(p.Manifest.Config.Digest))
	})
}
