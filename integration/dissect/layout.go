// SPDX-License-Identifier: Apache-2.0

package dissect

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

// A Layout is an OCI layout that came in a tar file, by name.
type Layout map[string][]byte

// ReadLayout reads a tar file that buildx exported.
func ReadLayout(t testing.TB, path string) Layout {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	l := Layout{}
	for tr := tar.NewReader(f); ; {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return l
		}
		require.NoError(t, err)
		l[hdr.Name], err = io.ReadAll(tr)
		require.NoError(t, err)
	}
}

// Get is the manifest or blob with that digest.
func (l Layout) Get(t testing.TB, name string) []byte {
	t.Helper()
	data, ok := l["blobs/sha256/"+strings.TrimPrefix(name, "sha256:")]
	require.True(t, ok, "the layout has no %s", name)
	return data
}

// Index is the image index, or one made up around the only manifest.
func (l Layout) Index(t testing.TB) ocispecs.Index {
	t.Helper()
	top := l.top(t)
	if top.Manifests[0].MediaType != ocispecs.MediaTypeImageIndex {
		return top
	}
	var index ocispecs.Index
	require.NoError(t, json.Unmarshal(l.Get(t, top.Manifests[0].Digest.String()), &index))
	return index
}

// Image takes the only image apart.
func (l Layout) Image(t testing.TB) Image {
	t.Helper()
	return open(t, l, l.top(t).Manifests[0].Digest.String())
}

func (l Layout) top(t testing.TB) ocispecs.Index {
	t.Helper()
	var top ocispecs.Index
	require.NoError(t, json.Unmarshal(l["index.json"], &top))
	require.Len(t, top.Manifests, 1)
	return top
}
