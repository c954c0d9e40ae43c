// SPDX-License-Identifier: Apache-2.0

// Package tamper changes images in a registry the way somebody would who may
// write to it but cannot sign: for tests of refusals, and for the demo.
//
// It talks plain HTTP without authentication, to a registry of a stand.
package tamper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrNotFound reports content that the repository does not have.
var ErrNotFound = errors.New("not in the repository")

const dockerReference = "vnd.docker.reference.digest"

// A Repository is one name in a registry.
type Repository struct{ Host, Name string }

// Parse takes a reference host/name:tag apart.
func Parse(ref string) (Repository, string, error) {
	host, rest, ok := strings.Cut(ref, "/")
	name, tag, tagged := strings.Cut(rest, ":")
	if !ok || !tagged {
		return Repository{}, "", fmt.Errorf("%q is not host/name:tag", ref)
	}
	return Repository{host, name}, tag, nil
}

// Ref is the reference of a tag.
func (r Repository) Ref(tag string) string { return r.Host + "/" + r.Name + ":" + tag }

func (r Repository) url(kind, name string) string {
	return "http://" + r.Host + "/v2/" + r.Name + "/" + kind + "/" + name
}

// Manifest returns the manifest or index that a tag or digest names.
func (r Repository) Manifest(ctx context.Context, name string) ([]byte, error) {
	return r.get(ctx, "manifests", name)
}

// Blob returns a config or layer.
func (r Repository) Blob(ctx context.Context, dgst digest.Digest) ([]byte, error) {
	return r.get(ctx, "blobs", dgst.String())
}

func (r Repository) get(ctx context.Context, kind, name string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url(kind, name), nil)
	if err != nil {
		return nil, err
	}
	for _, mt := range []string{ocispecs.MediaTypeImageIndex, ocispecs.MediaTypeImageManifest,
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json"} {
		req.Header.Add("Accept", mt)
	}
	resp, data, err := do(req)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s %s: %w", kind, name, ErrNotFound)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("get %s %s: %s", kind, name, resp.Status)
	}
	return data, nil
}

// PutManifest pushes data, byte for byte, under tag.
func (r Repository) PutManifest(ctx context.Context, tag string, data []byte) (digest.Digest, error) {
	var m struct {
		MediaType string `json:"mediaType"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, r.url("manifests", tag), bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", m.MediaType)
	return digest.FromBytes(data), created(req)
}

// PutBlob pushes data.
func (r Repository) PutBlob(ctx context.Context, data []byte) (digest.Digest, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url("blobs", "uploads/"), nil)
	if err != nil {
		return "", err
	}
	resp, _, err := do(req)
	if err != nil {
		return "", err
	}
	location, err := resp.Location()
	if err != nil {
		return "", err
	}
	dgst := digest.FromBytes(data)
	query := location.Query()
	query.Set("digest", dgst.String())
	location.RawQuery = query.Encode()
	req, err = http.NewRequestWithContext(ctx, http.MethodPut, location.String(), bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	return dgst, created(req)
}

func created(req *http.Request) error {
	resp, body, err := do(req)
	if err == nil && resp.StatusCode != http.StatusCreated {
		err = fmt.Errorf("put %s: %s: %s", req.URL.Path, resp.Status, body)
	}
	return err
}

func do(req *http.Request) (*http.Response, []byte, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp, data, err
}

// Index changes the index that tag names, and pushes the result as to.
func (r Repository) Index(ctx context.Context, tag, to string, change func(*ocispecs.Index) error) error {
	data, err := r.Manifest(ctx, tag)
	if err != nil {
		return err
	}
	var idx ocispecs.Index
	if err := json.Unmarshal(data, &idx); err != nil {
		return err
	}
	if len(idx.Manifests) == 0 {
		return fmt.Errorf("%s is not an index", r.Ref(tag))
	}
	if err := change(&idx); err != nil {
		return err
	}
	if data, err = json.Marshal(idx); err != nil {
		return err
	}
	_, err = r.PutManifest(ctx, to, data)
	return err
}

// Image changes the first platform's manifest of the index that tag names, and
// pushes the result as to. The index, and what refers to the manifest in it,
// follow, so that nothing is wrong but the content.
func (r Repository) Image(ctx context.Context, tag, to string, change func(*ocispecs.Manifest) error) error {
	return r.Index(ctx, tag, to, func(idx *ocispecs.Index) error {
		old := idx.Manifests[0].Digest
		data, err := r.Manifest(ctx, old.String())
		if err != nil {
			return err
		}
		var m ocispecs.Manifest
		if err := json.Unmarshal(data, &m); err != nil {
			return err
		}
		if err := change(&m); err != nil {
			return err
		}
		if data, err = json.Marshal(m); err != nil {
			return err
		}
		changed, err := r.PutManifest(ctx, to+"-manifest", data)
		if err != nil {
			return err
		}
		idx.Manifests[0].Digest, idx.Manifests[0].Size = changed, int64(len(data))
		for _, d := range idx.Manifests {
			if d.Annotations[dockerReference] == old.String() {
				d.Annotations[dockerReference] = changed.String()
			}
		}
		return nil
	})
}

// Preload makes every process of the image that tag names load an attacker's
// library, and pushes the result as to: one variable in the config, the layers
// untouched, the signature kept.
func (r Repository) Preload(ctx context.Context, tag, to string) error {
	return r.Image(ctx, tag, to, func(m *ocispecs.Manifest) error {
		data, err := r.Blob(ctx, m.Config.Digest)
		if err != nil {
			return err
		}
		config := bytes.Replace(data, []byte(`"Env":[`), []byte(`"Env":["LD_PRELOAD=/tmp/evil.so",`), 1)
		if bytes.Equal(config, data) {
			return fmt.Errorf("the config of %s has no environment to add to", r.Ref(tag))
		}
		m.Config.Size = int64(len(config))
		m.Config.Digest, err = r.PutBlob(ctx, config)
		return err
	})
}
