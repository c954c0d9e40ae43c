// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"strconv"

	"github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/result"
	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
)

// Names of the SBOM's documents, also those under which BuildKit's local and
// tar exporters write them.
const (
	packagesPath = "sbom.spdx.json"
	filesPath    = "sbom-files.spdx.json"
)

// A Document is an attestation beside the bundle. It is signed through its
// digest, which the provenance lists among the byproducts.
type Document struct {
	Name          string // of the byproduct
	Path          string // in Ref
	PredicateType string
	MediaType     string
	Digest        digest.Digest // of the predicate's bytes
	Ref           client.Reference
}

// PackageSBOM is the SPDX document that lists packages.
func PackageSBOM(d digest.Digest) Document { return spdx(slsa.ByproductSBOM, packagesPath, d) }

// FileSBOM is the SPDX document that lists files.
func FileSBOM(d digest.Digest) Document { return spdx(slsa.ByproductSBOMFiles, filesPath, d) }

func spdx(name, path string, d digest.Digest) Document {
	return Document{Name: name, Path: path, PredicateType: provenance.PredicateSPDX, MediaType: "application/spdx+json", Digest: d}
}

// Documents adds docs to the result for one image. inlineOnly keeps them out of
// what has no image index anyway: folders, archives of files, and archives for
// `docker load`.
//
// BuildKit's mark of a core SBOM is not set: the exporter would then add to the
// document and encode it anew, and its digest would not be the signed one.
func Documents(res *client.Result, img Image, docs []Document, inlineOnly bool) {
	for _, doc := range docs {
		res.AddAttestation(img.ID, client.Attestation{
			Kind:     gwpb.AttestationKind_InToto,
			Metadata: map[string][]byte{result.AttestationReasonKey: []byte(result.AttestationReasonSBOM), result.AttestationInlineOnlyKey: []byte(strconv.FormatBool(inlineOnly))},
			Ref:      doc.Ref,
			Path:     doc.Path,
			InToto: result.InTotoAttestation{
				PredicateType: doc.PredicateType,
				Subjects:      []result.InTotoSubject{{Kind: gwpb.InTotoSubjectKind_Self}},
			},
		})
	}
}

// Byproducts lists docs as the provenance does.
func Byproducts(platform string, docs []Document) []slsa.ResourceDescriptor {
	var out []slsa.ResourceDescriptor
	for _, doc := range docs {
		out = append(out, slsa.ResourceDescriptor{
			Name:      doc.Name,
			MediaType: doc.MediaType,
			Digest:    digestSet(doc.Digest),
			Annotations: map[string]any{
				slsa.AnnotationPlatform:      platform,
				slsa.AnnotationPredicateType: doc.PredicateType,
			},
		})
	}
	return out
}
