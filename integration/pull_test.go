// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"encoding/base64"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
	"github.com/plombproject/plomb/provenance"
)

const (
	defaultSigner = "https://github.com/plombproject/demo/.github/workflows/release.yml@refs/heads/main"
	otherSigner   = "https://github.com/somebody/else/.github/workflows/release.yml@refs/heads/main"
)

// small is an image with one layer of its own, different for every name.
func small(t testing.TB, name string) build {
	return build{dockerfile: "FROM ${BUSYBOX}\nRUN echo " + name + " > /etc/name\n", repo: repoName(t) + "/" + name}
}

// A case of the table: an image in the registry, and what the node has to say
// of it. An empty reason means that it is to be pulled.
type pullCase struct {
	name   string
	make   func(t *testing.T) (ref string)
	reason string
}

var pullCases = []pullCase{
	{name: "signed", make: func(t *testing.T) string {
		return signedImage(t, "app")
	}},
	{name: "signed, copied to another repository", make: func(t *testing.T) string {
		ref := signedImage(t, "app")
		to := shared.Registry + "/" + repoName(t) + "/copy:latest"
		out, err := harness.Output(t, shared, "buildx", "imagetools", "create", "-t", to, ref)
		require.NoError(t, err, out)
		return to
	}},
	{name: "signed, without the annotation", make: func(t *testing.T) string {
		return edit(t, signedImage(t, "app"), func(idx *ocispecs.Index) { idx.Manifests[0].Annotations = nil })
	}},
	{name: "unsigned", reason: "unsigned", make: func(t *testing.T) string {
		b := small(t, "app")
		b.args = []string{"--build-arg", "PLOMB_SIGN=off"}
		return b.must(t).ref
	}},
	{name: "unsigned, without attestations", reason: "unsigned", make: func(t *testing.T) string {
		b := small(t, "app")
		b.args = []string{"--build-arg", "PLOMB_SIGN=off", "--provenance=false"}
		return b.must(t).ref
	}},
	{name: "another identity", reason: otherSigner, make: func(t *testing.T) string {
		b := small(t, "app")
		b.token = token(t, "--repository", "somebody/else")
		return b.must(t).ref
	}},
	{name: "another issuer", reason: "gitlab.com", make: func(t *testing.T) string {
		b := small(t, "app")
		b.token = token(t, "--issuer", "https://gitlab.com")
		return b.must(t).ref
	}},
	{name: "tampered manifest", reason: "image-id", make: func(t *testing.T) string {
		r, tag := dissect.Registry(t, signedImage(t, "app"))
		evil := dissect.Pull(t, pushSmall(t, r, "evil"))
		require.NoError(t, r.Image(t.Context(), tag, "tampered", func(m *ocispecs.Manifest) error {
			m.Config, m.Layers = evil.Manifest.Config, evil.Manifest.Layers
			return nil
		}))
		return r.Ref("tampered")
	}},
	{name: "config swapped", reason: "image-id", make: func(t *testing.T) string {
		r, tag := dissect.Registry(t, signedImage(t, "app"))
		require.NoError(t, r.Preload(t.Context(), tag, "swapped"))
		return r.Ref("swapped")
	}},
	{name: "bundle of another image", reason: "image-id", make: func(t *testing.T) string {
		victim, donor := signedImage(t, "victim"), dissect.Pull(t, signedImage(t, "donor"))
		return edit(t, stripped(t, victim), func(idx *ocispecs.Index) {
			idx.Manifests[0].Annotations = map[string]string{
				provenance.BundleAnnotation: base64.StdEncoding.EncodeToString(donor.Bundle.Raw)}
		})
	}},
	{name: "truncated bundle", reason: "bundle", make: func(t *testing.T) string {
		ref := signedImage(t, "app")
		bundle := dissect.Pull(t, ref).Bundle.Raw
		return edit(t, stripped(t, ref), func(idx *ocispecs.Index) {
			idx.Manifests[0].Annotations = map[string]string{
				provenance.BundleAnnotation: base64.StdEncoding.EncodeToString(bundle[:len(bundle)/2])}
		})
	}},
	{name: "no registry", reason: "connection refused", make: func(t *testing.T) string {
		return absentRegistry(t) + "/app:latest"
	}},
}

// Each image gets the same verdict through ctr, through CRI and from
// plomb verify, and a refusal says why.
func TestPull(t *testing.T) {
	for _, tc := range pullCases {
		t.Run(tc.name, func(t *testing.T) {
			ref := tc.make(t)
			out, err := harness.Output(t, shared, "ctr", "--address", shared.ContainerdAddress, "--namespace", "pull", "images", "pull", ref)
			verdict(t, "ctr", tc.reason, out, err)

			client, err := cri.Dial(shared.ContainerdAddress)
			require.NoError(t, err)
			defer client.Close()
			_, err = client.PullImage(t.Context(), ref)
			reason := ""
			if err != nil {
				reason = cri.Reason(err)
			}
			verdict(t, "CRI", tc.reason, reason, err)

			out, err = harness.Output(t, shared, "plomb", "verify", ref)
			verdict(t, "plomb verify", tc.reason, out, err)
		})
	}
}

func verdict(t *testing.T, who, reason, said string, err error) {
	t.Helper()
	if reason == "" {
		require.NoError(t, err, "%s: %s", who, said)
		return
	}
	require.Error(t, err, "%s let it pass: %s", who, said)
	require.Contains(t, said, reason, who)
}

func signedImage(t testing.TB, name string) string {
	t.Helper()
	b := small(t, name)
	b.token = token(t)
	return b.must(t).ref
}

// pushSmall pushes an unsigned image into r's repository, under tag, and returns
// its reference.
func pushSmall(t testing.TB, r tamper.Repository, tag string) string {
	t.Helper()
	b := small(t, tag)
	b.repo, b.tag = r.Name, tag
	b.args = []string{"--build-arg", "PLOMB_SIGN=off", "--provenance=false"}
	return b.must(t).ref
}

// edit changes the index of ref and pushes the result next to it.
func edit(t testing.TB, ref string, change func(*ocispecs.Index)) string {
	t.Helper()
	r, tag := dissect.Registry(t, ref)
	require.NoError(t, r.Index(t.Context(), tag, "edited", func(idx *ocispecs.Index) error {
		change(idx)
		return nil
	}))
	return r.Ref("edited")
}

// stripped is ref without attestation manifests.
func stripped(t testing.TB, ref string) string {
	t.Helper()
	return edit(t, ref, func(idx *ocispecs.Index) { idx.Manifests = idx.Manifests[:1] })
}

// A registry that keeps a manifest under a name that is not its digest is
// caught by containerd or by us, never believed.
func TestRegistryThatLies(t *testing.T) {
	ref := signedImage(t, "lies") // no other test may have the same content
	img := dissect.Pull(t, ref)
	blob := filepath.Join(shared.Dir, "registry/docker/registry/v2/blobs/sha256",
		img.ManifestDigest.Encoded()[:2], img.ManifestDigest.Encoded(), "data")
	data, err := os.ReadFile(blob)
	require.NoError(t, err)
	require.Equal(t, img.ManifestDigest, digest.FromBytes(data))
	require.NoError(t, os.WriteFile(blob, append(data, '\n'), 0o644))

	out, err := harness.Output(t, shared, "plomb", "verify", ref)
	require.Error(t, err, out)
	require.Contains(t, out, "digest")
	out, err = harness.Output(t, shared, "ctr", "--address", shared.ContainerdAddress, "--namespace", "lies", "images", "pull", ref)
	require.Error(t, err, out)
}

// absentRegistry is an address on loopback where nobody listens.
func absentRegistry(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
