// SPDX-License-Identifier: Apache-2.0

package binding_test

import (
	"testing"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/verifytest"
)

var (
	manifest = digest.FromString("manifest")
	config   = digest.FromString("config")
)

func subject(name string, dgst digest.Digest, platform string) provenance.Subject {
	return provenance.Subject{
		Name:        name,
		Digest:      map[string]string{"sha256": dgst.Encoded()},
		Annotations: map[string]string{provenance.AnnotationPlatform: platform},
	}
}

func check(t *testing.T, platform string, subjects ...provenance.Subject) error {
	t.Helper()
	_, err := binding.Check(verifytest.Statement(t, subjects), binding.Target{
		Manifest: manifest,
		Platform: platforms.MustParse(platform),
		Document: &ocispec.Manifest{Config: ocispec.Descriptor{Digest: config}},
	})
	return err
}

func TestSubjects(t *testing.T) {
	require.NoError(t, check(t, "linux/amd64", subject("image-id", config, "linux/amd64")))
	require.NoError(t, check(t, "linux/amd64", subject("manifest", manifest, "linux/amd64")))
	require.NoError(t, check(t, "linux/amd64", subject("image-id", manifest, "linux/amd64"), subject("image-id", config, "linux/amd64")),
		"one of several is enough")

	// A digest counts only under the name of its kind.
	require.ErrorIs(t, check(t, "linux/amd64", subject("image-id", manifest, "linux/amd64")), binding.ErrSubject)
	require.ErrorIs(t, check(t, "linux/amd64", subject("manifest", config, "linux/amd64")), binding.ErrSubject)
	require.ErrorIs(t, check(t, "linux/amd64", subject("", config, "linux/amd64")), binding.ErrSubject)
}

func TestPlatforms(t *testing.T) {
	for _, same := range [][2]string{{"linux/arm64", "linux/arm64/v8"}, {"linux/amd64", "linux/amd64/v1"}, {"linux/arm/v7", "linux/arm"}} {
		require.NoError(t, check(t, same[0], subject("image-id", config, same[1])), same)
		require.NoError(t, check(t, same[1], subject("image-id", config, same[0])), same)
	}
	for _, other := range [][2]string{{"linux/arm64", "linux/arm"}, {"linux/amd64", "windows/amd64"}, {"linux/arm/v7", "linux/arm/v6"}, {"linux/amd64/v3", "linux/amd64"}} {
		require.ErrorIs(t, check(t, other[0], subject("image-id", config, other[1])), binding.ErrPlatform, other)
	}
}

// FuzzCheck: a payload that binds is a statement with the digest in it.
func FuzzCheck(f *testing.F) {
	f.Add(verifytest.Statement(f, []provenance.Subject{subject("image-id", config, "linux/amd64")}))
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"image-id","digest":{}}],"predicateType":"x","predicate":{}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		_, err := binding.Check(payload, binding.Target{
			Manifest: manifest, Platform: platforms.MustParse("linux/amd64"),
			Document: &ocispec.Manifest{Config: ocispec.Descriptor{Digest: config}},
		})
		if err == nil {
			require.Regexp(t, config.Encoded()+"|"+manifest.Encoded(), string(payload))
		}
	})
}
