// SPDX-License-Identifier: Apache-2.0

package basesbom

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/sbom"
)

var amd64 = ocispecs.Platform{OS: "linux", Architecture: "amd64"}

// A store has the content of one repository.
type store map[digest.Digest][]byte

func (s store) put(t *testing.T, v any) digest.Digest {
	data, ok := v.(string)
	if !ok {
		encoded, err := json.Marshal(v)
		require.NoError(t, err)
		data = string(encoded)
	}
	d := digest.FromString(data)
	s[d] = []byte(data)
	return d
}

func (s store) read(_ context.Context, _ Kind, d digest.Digest, limit int64) ([]byte, error) {
	data, ok := s[d]
	if !ok || int64(len(data)) > limit {
		return nil, errors.New("cannot be had")
	}
	return data, nil
}

const spdx = `{"spdxVersion":"SPDX-2.3","documentNamespace":"https://example.com/base"}`

func statement(predicateType, predicate string) string {
	return `{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"` + predicateType + `","predicate":` + predicate + `}`
}

// base is an image index with one platform, whose attestations are layers.
func base(t *testing.T, s store, layers ...ocispecs.Descriptor) digest.Digest {
	image := s.put(t, ocispecs.Manifest{})
	attestations := s.put(t, ocispecs.Manifest{Layers: layers})
	return s.put(t, ocispecs.Index{Manifests: []ocispecs.Descriptor{
		{Digest: image, Platform: &amd64},
		{Digest: attestations, Platform: &ocispecs.Platform{OS: "unknown", Architecture: "unknown"}, Annotations: map[string]string{
			annotationReferenceType: "attestation-manifest", annotationReferenceDigest: image.String(),
		}},
	}})
}

func layer(d digest.Digest, predicateType string) ocispecs.Descriptor {
	return ocispecs.Descriptor{Digest: d, Annotations: map[string]string{annotationPredicateType: predicateType}}
}

func TestFind(t *testing.T) {
	s := store{}
	doc := s.put(t, statement(provenance.PredicateSPDX, spdx))
	root := base(t, s, layer(s.put(t, "{}"), "https://slsa.dev/provenance/v0.2"), layer(doc, provenance.PredicateSPDX))
	sum := sha1.Sum([]byte(spdx))
	want := &sbom.Document{Namespace: "https://example.com/base", SHA1: hex.EncodeToString(sum[:])}

	got, err := Find(t.Context(), s.read, root, amd64)
	require.NoError(t, err)
	require.Equal(t, want, got)

	for name, at := range map[string]struct {
		root     digest.Digest
		platform ocispecs.Platform
	}{
		"another platform": {root, ocispecs.Platform{OS: "linux", Architecture: "arm64"}},
		"no index":         {s.put(t, ocispecs.Manifest{Config: ocispecs.Descriptor{Digest: doc}}), amd64},
		"no attestations":  {s.put(t, ocispecs.Index{Manifests: []ocispecs.Descriptor{{Digest: doc, Platform: &amd64}}}), amd64},
		"no SBOM":          {base(t, s, layer(doc, "https://slsa.dev/provenance/v1")), amd64},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Find(t.Context(), s.read, at.root, at.platform)
			require.NoError(t, err)
			require.Nil(t, got)
		})
	}
}

// Whatever a registry answers, it is refused before it is believed.
func TestFindRefuses(t *testing.T) {
	s := store{}
	for name, row := range map[string]struct {
		root digest.Digest
		says string
	}{
		"gone":                {digest.FromString("absent"), "cannot be had"},
		"no digest":           {"sha256:zz", "digest"},
		"not JSON":            {s.put(t, "<html>"), "malformed"},
		"twice the same key":  {s.put(t, `{"manifests":[],"manifests":[]}`), "malformed"},
		"a hostile layer":     {base(t, s, layer("../../etc/passwd", provenance.PredicateSPDX)), "digest"},
		"another type inside": {base(t, s, layer(s.put(t, statement("https://example.com/x", spdx)), provenance.PredicateSPDX)), "no SPDX document"},
		"no namespace":        {base(t, s, layer(s.put(t, statement(provenance.PredicateSPDX, `{}`)), provenance.PredicateSPDX)), "no SPDX document"},
		"no object":           {base(t, s, layer(s.put(t, statement(provenance.PredicateSPDX, `[]`)), provenance.PredicateSPDX)), "malformed"},
		"too large":           {base(t, s, layer(s.put(t, statement(provenance.PredicateSPDX, `"`+strings.Repeat("x", maxStatement)+`"`)), provenance.PredicateSPDX)), "cannot be had"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Find(t.Context(), s.read, row.root, amd64)
			require.ErrorContains(t, err, row.says)
		})
	}
	for name, namespace := range map[string]string{
		"relative": "base", "a part": "https://example.com/base#x", "a space": "https://example.com/a b", "a control character": `https://example.com/\u001b`,
		"not ASCII": "https://example.com/ä", "long": "https://example.com/" + strings.Repeat("x", 10_000), "broken": "https://exa%mple.com",
	} {
		t.Run("namespace with "+name, func(t *testing.T) {
			doc := s.put(t, statement(provenance.PredicateSPDX, `{"documentNamespace":"`+namespace+`"}`))
			_, err := Find(t.Context(), s.read, base(t, s, layer(doc, provenance.PredicateSPDX)), amd64)
			require.ErrorIs(t, err, ErrMalformed)
			require.ErrorContains(t, err, "no SPDX document with a namespace")
		})
	}
	swapped := func(context.Context, Kind, digest.Digest, int64) ([]byte, error) { return []byte(`{}`), nil }
	_, err := Find(t.Context(), swapped, digest.FromString("x"), amd64)
	require.ErrorIs(t, err, ErrMalformed)
}
