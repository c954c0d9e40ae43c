// SPDX-License-Identifier: Apache-2.0

//go:build integration

package formats

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/tamper"
)

// fallback is the tag that stands in for the referrers API, and the beginning
// of cosign's tags.
func fallback(d digest.Digest) string { return strings.Replace(d.String(), ":", "-", 1) }

// referrers are the manifests that refer to a part of the image.
func referrers(t *testing.T, i image, to digest.Digest) []ocispecs.Manifest {
	t.Helper()
	var list ocispecs.Index
	if i.repo.Host == withAPI {
		require.NoError(t, json.Unmarshal(listed(t, i.repo, to), &list))
	} else if data := manifestIfThere(t, i.repo, fallback(to)); data != nil {
		require.NoError(t, json.Unmarshal(data, &list))
	}
	var manifests []ocispecs.Manifest
	for _, d := range list.Manifests {
		data, err := i.repo.Manifest(t.Context(), d.Digest.String())
		require.NoError(t, err)
		var m ocispecs.Manifest
		require.NoError(t, json.Unmarshal(data, &m))
		manifests = append(manifests, m)
	}
	return manifests
}

// listed is the answer of the referrers API.
func listed(t *testing.T, r tamper.Repository, to digest.Digest) []byte {
	t.Helper()
	answer, err := http.Get("http://" + r.Host + "/v2/" + r.Name + "/referrers/" + to.String())
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	data, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return data
}

func manifestIfThere(t *testing.T, r tamper.Repository, name string) []byte {
	t.Helper()
	data, err := r.Manifest(t.Context(), name)
	if errors.Is(err, tamper.ErrNotFound) {
		return nil
	}
	require.NoError(t, err)
	return data
}

// refer pushes a referrer as it stands, and has the registry list it for a part
// of the image, whatever its subject is. With the API the registry goes by the
// subject.
func refer(t *testing.T, i image, listedFor digest.Digest, m ocispecs.Manifest) {
	t.Helper()
	data, err := json.Marshal(m)
	require.NoError(t, err)
	dgst := digest.FromBytes(data)
	_, err = i.repo.PutManifest(t.Context(), dgst.String(), data)
	require.NoError(t, err)
	if i.repo.Host == withAPI {
		return
	}
	index := ocispecs.Index{MediaType: ocispecs.MediaTypeImageIndex}
	index.SchemaVersion = 2
	if old := manifestIfThere(t, i.repo, fallback(listedFor)); old != nil {
		require.NoError(t, json.Unmarshal(old, &index))
	}
	index.Manifests = append(index.Manifests, ocispecs.Descriptor{
		MediaType: m.MediaType, ArtifactType: m.ArtifactType, Digest: dgst, Size: int64(len(data)),
	})
	list, err := json.Marshal(index)
	require.NoError(t, err)
	_, err = i.repo.PutManifest(t.Context(), fallback(listedFor), list)
	require.NoError(t, err)
}

// copyBlobs copies what a manifest consists of.
func copyBlobs(t *testing.T, from, to tamper.Repository, m ocispecs.Manifest) {
	t.Helper()
	for _, d := range append(m.Layers, m.Config) {
		data, err := from.Blob(t.Context(), d.Digest)
		require.NoError(t, err)
		_, err = to.PutBlob(t.Context(), data)
		require.NoError(t, err)
	}
}

// moveReferrers puts the referrers of a part of one image beside another one.
// With relabel they say that they refer to it.
func moveReferrers(t *testing.T, from image, of digest.Digest, to image, at digest.Digest, relabel bool) {
	t.Helper()
	list := referrers(t, from, of)
	require.NotEmpty(t, list)
	for _, m := range list {
		copyBlobs(t, from.repo, to.repo, m)
		if relabel {
			m.Subject.Digest = at
		}
		refer(t, to, at, m)
	}
}

// moveTag puts what cosign wrote under a tag of one image under that tag of
// another one, with a suffix of one's choice.
func moveTag(t *testing.T, from, to image, suffix, as string) {
	t.Helper()
	data, err := from.repo.Manifest(t.Context(), fallback(from.index)+suffix)
	require.NoError(t, err)
	var m ocispecs.Manifest
	require.NoError(t, json.Unmarshal(data, &m))
	copyBlobs(t, from.repo, to.repo, m)
	_, err = to.repo.PutManifest(t.Context(), fallback(to.index)+as, data)
	require.NoError(t, err)
}
