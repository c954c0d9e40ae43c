// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

// Media types of cosign's old form.
const (
	TypeSimpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
	TypeEnvelope      = "application/vnd.dsse.envelope.v1+json"
)

// Annotations of cosign's old form.
const (
	CosignSignature   = "dev.cosignproject.cosign/signature"
	CosignCertificate = "dev.sigstore.cosign/certificate"
	CosignChain       = "dev.sigstore.cosign/chain"
	CosignRekor       = "dev.sigstore.cosign/bundle"
	CosignTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// CosignTag is where cosign's old form keeps what it has about an image;
// suffix is sig, att or sbom.
func CosignTag(dgst digest.Digest, suffix string) string {
	return strings.Replace(dgst.String(), ":", "-", 1) + "." + suffix
}

// TagCosign stores the manifest that cosign's old form has under a tag.
func (s *Store) TagCosign(t testing.TB, tag string, layers ...ocispec.Descriptor) ocispec.Descriptor {
	t.Helper()
	desc := s.AddJSON(t, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: s.Add([]byte(`{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":[]}}`), ocispec.MediaTypeImageConfig),
		Layers: layers,
	}, ocispec.MediaTypeImageManifest)
	s.Tag(tag, desc.Digest)
	return desc
}

// SimpleSigning is what cosign's old form signs.
func SimpleSigning(dgst digest.Digest, name string) []byte {
	return fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":%q},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`, name, dgst)
}

// CosignOptions say how an old signature is made. The zero value is keyless
// and logged in Rekor v1, as a hashedrekord or, for an attestation, as a dsse
// entry. There is no proof of inclusion in the old form.
type CosignOptions struct {
	BundleOptions
	// Timestamp adds one of the authority's.
	Timestamp bool
}

// CosignSign stores a layer with a document and its signature.
func (s *Store) CosignSign(t testing.TB, sigstore *Sigstore, document []byte, opts CosignOptions) ocispec.Descriptor {
	t.Helper()
	opts.Message = true
	orElse(&opts.Log, HashedRekord)
	of, annotations := sigstore.cosign(t, document, opts)
	annotations[CosignSignature] = base64.StdEncoding.EncodeToString(of.sig)
	desc := s.Add(document, TypeSimpleSigning)
	desc.Annotations = annotations
	return desc
}

// CosignAttest stores a layer with a DSSE envelope around an in-toto statement.
func (s *Store) CosignAttest(t testing.TB, sigstore *Sigstore, statement []byte, opts CosignOptions) ocispec.Descriptor {
	t.Helper()
	orElse(&opts.Log, DSSE)
	of, annotations := sigstore.cosign(t, statement, opts)
	annotations[CosignSignature] = ""
	desc := s.Add(of.envelope(t), TypeEnvelope)
	desc.Annotations = annotations
	return desc
}

// cosign signs, and gives what the annotations of the layer say about it.
func (s *Sigstore) cosign(t testing.TB, payload []byte, opts CosignOptions) (signedThing, map[string]string) {
	t.Helper()
	o := opts.withDefaults().within(t, s)
	key, _, signer := s.signer(t, o)
	of := o.sees(t, key, payload, signer)
	annotations := map[string]string{}
	if o.Key == nil {
		annotations[CosignCertificate] = string(signer)
		annotations[CosignChain] = string(pemOf("CERTIFICATE", s.fulcio.cert.Raw)) + string(pemOf("CERTIFICATE", s.fulcioRoot.cert.Raw))
	}
	if !o.NoLogEntry {
		e := o.LogBy.entry1(t, of, o)
		annotations[CosignRekor] = marshal(t, map[string]any{
			"SignedEntryTimestamp": e.GetInclusionPromise().GetSignedEntryTimestamp(),
			"Payload": map[string]any{
				"body": e.GetCanonicalizedBody(), "integratedTime": e.GetIntegratedTime(),
				"logIndex": e.GetLogIndex(), "logID": hex.EncodeToString(e.GetLogId().GetKeyId()),
			},
		})
	}
	if opts.Timestamp {
		annotations[CosignTimestamp] = marshal(t, map[string]any{"SignedRFC3161Timestamp": o.TimestampBy.timestamp(t, of.sig, o.SignedAt)})
	}
	return of, annotations
}

func marshal(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}
