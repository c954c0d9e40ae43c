// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sbom

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/tamper"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/provenance/spdx"
)

// An image is one in the registry, taken apart.
type image struct {
	ref       string
	log       string // of its build
	digest    digest.Digest
	index     *ocispecs.Index     // nil where the reference names a manifest
	manifests []digest.Digest     // of the platforms
	configs   []digest.Digest     // of the platforms
	layers    []digest.Digest     // diff IDs of the first platform
	documents map[string][][]byte // SPDX documents by platform
	signed    *slsa.Provenance    // nil for an unsigned one
}

func pull(t *testing.T, ref string) *image {
	t.Helper()
	repo, tag, err := tamper.Parse(ref)
	require.NoError(t, err)
	img := &image{ref: ref, documents: map[string][][]byte{}}
	var index ocispecs.Index
	first := fetch(t, repo, tag, &index)
	img.digest = first
	if index.MediaType != ocispecs.MediaTypeImageIndex {
		img.addPlatform(t, repo, first.String())
		return img
	}
	img.index = &index
	platform := map[string]string{} // by manifest
	for _, m := range index.Manifests {
		of, isAttestation := m.Annotations["vnd.docker.reference.digest"]
		if isAttestation {
			img.addDocuments(t, repo, m.Digest.String(), platform[of])
			continue
		}
		platform[m.Digest.String()] = m.Platform.OS + "/" + m.Platform.Architecture
		img.addPlatform(t, repo, m.Digest.String())
		if img.signed == nil {
			img.signed = claims(t, m.Annotations[provenance.BundleAnnotation])
		}
	}
	return img
}

func (i *image) addPlatform(t *testing.T, repo tamper.Repository, name string) {
	t.Helper()
	var m ocispecs.Manifest
	i.manifests = append(i.manifests, fetch(t, repo, name, &m))
	i.configs = append(i.configs, m.Config.Digest)
	if len(i.configs) == 1 {
		data, err := repo.Blob(t.Context(), m.Config.Digest)
		require.NoError(t, err)
		var config ocispecs.Image
		require.NoError(t, json.Unmarshal(data, &config))
		i.layers = config.RootFS.DiffIDs
	}
}

func (i *image) addDocuments(t *testing.T, repo tamper.Repository, name, platform string) {
	t.Helper()
	var m ocispecs.Manifest
	fetch(t, repo, name, &m)
	for _, l := range m.Layers {
		if l.Annotations["in-toto.io/predicate-type"] != provenance.PredicateSPDX {
			continue
		}
		data, err := repo.Blob(t.Context(), l.Digest)
		require.NoError(t, err)
		var s struct{ Predicate json.RawMessage }
		require.NoError(t, json.Unmarshal(data, &s))
		i.documents[platform] = append(i.documents[platform], s.Predicate)
	}
}

func fetch(t *testing.T, repo tamper.Repository, name string, v any) digest.Digest {
	t.Helper()
	data, err := repo.Manifest(t.Context(), name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, v))
	return digest.FromBytes(data)
}

// claims reads the predicate in a bundle.
func claims(t *testing.T, b64 string) *slsa.Provenance {
	t.Helper()
	if b64 == "" {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(b64)
	require.NoError(t, err)
	return payload(t, data)
}

// embeddedClaims reads the predicate in a bundle that is itself an attestation.
func embeddedClaims(t *testing.T, data []byte) *slsa.Provenance {
	t.Helper()
	var s struct{ Predicate json.RawMessage }
	require.NoError(t, json.Unmarshal(data, &s))
	return payload(t, s.Predicate)
}

func payload(t *testing.T, data []byte) *slsa.Provenance {
	t.Helper()
	var bundle struct {
		DSSE struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(data, &bundle))
	s, err := provenance.ParseStatement(bundle.DSSE.Payload)
	require.NoError(t, err)
	var p slsa.Provenance
	require.NoError(t, json.Unmarshal(s.Predicate, &p))
	return &p
}

// An sbomOf is the package-level document of one image, read.
type sbomOf struct {
	raw       []byte
	inventory *sbom.Inventory
	image     *sbom.Image
}

// sbom reads the only document of the first platform.
func (i *image) sbom(t *testing.T) sbomOf {
	t.Helper()
	require.Len(t, i.documents, 1, i.log)
	for _, docs := range i.documents {
		require.Len(t, docs, 1)
		return parse(t, docs[0])
	}
	panic("not reached")
}

func parse(t *testing.T, data []byte) sbomOf {
	t.Helper()
	inv, img, err := spdx.Read(data)
	require.NoError(t, err)
	return sbomOf{data, inv, img}
}

// list is the packages, one each: type, name, version and the instruction, with
// its line from the syntax line on, or "base".
func (s sbomOf) list() []string {
	out := []string{}
	for _, item := range s.inventory.Items {
		from := fmt.Sprintf("%d: %s", item.Origin.Line, item.Origin.Instruction)
		if item.Origin.Base {
			from = "base"
		}
		out = append(out, strings.Join([]string{item.Type, item.Name, item.Version, from}, " "))
	}
	slices.Sort(out)
	return out
}

// find is the only package of that name.
func (s sbomOf) find(t *testing.T, name string) sbom.Item {
	t.Helper()
	var found []sbom.Item
	for _, item := range s.inventory.Items {
		if item.Name == name {
			found = append(found, item)
		}
	}
	require.Len(t, found, 1, "%s in %s", name, strings.Join(s.list(), "\n"))
	return found[0]
}

func (s sbomOf) names() []string {
	var out []string
	for _, item := range s.inventory.Items {
		out = append(out, item.Name)
	}
	return out
}

// unread are the paths that could not be read, each with its reason.
func (s sbomOf) unread() map[string]string {
	out := map[string]string{}
	for _, u := range s.inventory.Unread {
		out[u.Path] = u.Reason
	}
	return out
}

// related are the names of the elements that are in that relation to the image.
func (s sbomOf) related(t *testing.T, relation string) []string {
	t.Helper()
	var doc struct {
		Packages      []struct{ SPDXID, Name, VersionInfo string }
		Relationships []struct{ SPDXElementID, RelationshipType, RelatedSPDXElement string }
	}
	require.NoError(t, json.Unmarshal(s.raw, &doc))
	name := map[string]string{}
	for _, p := range doc.Packages {
		name[p.SPDXID] = p.Name
		if p.VersionInfo != "" {
			name[p.SPDXID] += " " + p.VersionInfo
		}
	}
	out := []string{}
	for _, r := range doc.Relationships {
		if r.RelationshipType != relation {
			continue
		}
		other := r.SPDXElementID
		if other == "SPDXRef-image" {
			other = r.RelatedSPDXElement
		}
		out = append(out, name[other])
	}
	slices.Sort(out)
	return out
}

// byproducts are the SHA-256 of the package-level documents that the signed
// provenance names, by platform.
func byproducts(i *image) map[string]string {
	out := map[string]string{}
	for _, b := range i.signed.RunDetails.Byproducts {
		if b.Name == slsa.ByproductSBOM {
			out[fmt.Sprint(b.Annotations[slsa.AnnotationPlatform])] = b.Digest["sha256"]
		}
	}
	return out
}

func sha256Of(data []byte) string { return digest.FromBytes(data).Encoded() }
