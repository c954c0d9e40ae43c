// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/evidence"
)

// FuzzReference: the registry that a name is taken for is the one that containerd
// would fetch from, and a name with a digest keeps it.
func FuzzReference(f *testing.F) {
	for _, seed := range []string{
		"app", "acme/app:v1", "registry.example/app@" + digest.FromString("x").String(), "registry.example:5000/a/b:c", "localhost/app",
		"[::1]:5000/app", "Registry.example/App", "a//b", "registry.example/app:v1@sha256:00", "oci-layout:./image:v1", "a/../b", "docker.io/app",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		ref, err := evidence.ParseReference(name)
		if err != nil {
			require.ErrorIs(t, err, evidence.ErrReference)
			require.Error(t, evidence.CheckQualified(name))
			return
		}
		require.NotEmpty(t, ref.Name)
		if ref.Digest != "" {
			require.NoError(t, ref.Digest.Validate())
			require.True(t, strings.HasSuffix(name, "@"+ref.Digest.String()))
		}
		again, err := evidence.ParseReference(ref.Name)
		require.NoError(t, err)
		require.Equal(t, strings.TrimSuffix(ref.Name, ":latest"), strings.TrimSuffix(again.Name, ":latest"))
		if evidence.CheckQualified(name) == nil {
			host, _, _ := strings.Cut(name, "/")
			require.True(t, strings.HasPrefix(ref.Name, host+"/"), "%s is taken for %s", name, ref.Name)
		}
	})
}

// FuzzLayout: an index.json names one image or is refused, and what it names is
// a digest that stays below the folder.
func FuzzLayout(f *testing.F) {
	entry := `{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"` + digest.FromString("x").String() + `","size":1`
	f.Add([]byte(`{"schemaVersion":2,"manifests":[` + entry + `}]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[` + entry + `,"annotations":{"org.opencontainers.image.ref.name":"v1"}},` + entry + `,"artifactType":"x"}]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"sha256:../../../etc/passwd"}]}`))
	f.Add([]byte(`{"manifests":null}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, index []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), index, 0o600))
		layout, dgst, err := evidence.OpenLayout(dir)
		if err != nil {
			require.ErrorIs(t, err, evidence.ErrLayout)
			return
		}
		require.Contains(t, string(index), "manifests")
		if dgst.Validate() == nil {
			_, err = layout.Open(t.Context(), "blob", dgst)
			require.ErrorIs(t, err, evidence.ErrNotFound)
		}
	})
}
