// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"fmt"
	"regexp"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/internal/document"
)

// Media types of evidence.
const (
	// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
	typeSimpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
	// https://github.com/secure-systems-lab/dsse/blob/v1.0.0/envelope.md as
	// cosign names it.
	typeEnvelope = "application/vnd.dsse.envelope.v1+json"
	// https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-specification.md
	typeNotation = "application/vnd.cncf.notary.signature"
)

// typeBundle is a Sigstore bundle, in both spellings that have been used
// (https://github.com/sigstore/protobuf-specs/blob/v0.5.1/protos/sigstore_bundle.proto).
var typeBundle = regexp.MustCompile(`^application/vnd\.dev\.sigstore\.bundle(\.v0\.[1-3]\+json|\+json; ?version="?0\.[1-3]"?)$`)

const (
	// maxEnvelope bounds a Notary Project signature: as their own client does.
	maxEnvelope = 4 << 20
	// maxLayer bounds the layers of cosign's old form, and bundles.
	maxLayer = provenance.MaxBundleSize
)

// ErrForeign reports a list of referrers that names a manifest which refers to
// something else. Nobody but the registry, or whoever may write the fallback
// tag, can have put it there.
var ErrForeign = fmt.Errorf("%w: listed as a referrer, and is none", document.ErrMalformed)

// A piece is a layer that holds evidence, and how it does.
type piece struct {
	layer ocispec.Descriptor
	form  Form
	max   int64
}

// pieces finds the evidence in the manifest data, which somebody says refers to
// subject; an empty subject is not checked. A manifest without evidence, an
// SBOM for instance, has none, and that is no error.
func pieces(data []byte, subject digest.Digest) ([]piece, error) {
	doc, err := document.Parse(data)
	if err != nil {
		return nil, err
	}
	if doc.Manifest == nil {
		return nil, nil
	}
	m := doc.Manifest
	if subject != "" && (m.Subject == nil || m.Subject.Digest != subject) {
		return nil, fmt.Errorf("%w: it refers to %s, not to %s", ErrForeign, subjectOf(m), subject)
	}
	// The manifest has been checked against its digest, so what it says of
	// itself is its author's word, and no longer the registry's.
	kind := m.ArtifactType
	if kind == "" {
		kind = m.Config.MediaType
	}
	var list []piece
	for _, l := range m.Layers {
		if p, ok := classify(kind, l, len(m.Layers) == 1); ok {
			list = append(list, p)
		}
	}
	return list, nil
}

func subjectOf(m *ocispec.Manifest) string {
	if m.Subject == nil {
		return "nothing"
	}
	return m.Subject.Digest.String()
}

// classify tells what a layer of a manifest of that kind is.
func classify(kind string, l ocispec.Descriptor, only bool) (piece, bool) {
	switch {
	case kind == typeNotation:
		// "The signature manifest has exactly one layer."
		if form := Form(l.MediaType); only && (form == JWS || form == COSE) {
			return piece{layer: l, form: form, max: maxEnvelope}, true
		}
	case typeBundle.MatchString(l.MediaType), only && typeBundle.MatchString(kind):
		return piece{layer: l, form: Bundle, max: maxLayer}, true
	case l.MediaType == typeSimpleSigning, l.MediaType == typeEnvelope:
		return piece{layer: l, form: Legacy, max: maxLayer}, true
	}
	return piece{}, false
}

// checkSize refuses before it is fetched what says itself that it is too large.
func (p piece) checkSize() error {
	if p.layer.Size > p.max {
		return fmt.Errorf("%w: layer %s has %d bytes, at most %d are read", limit.ErrTooLarge, p.layer.Digest, p.layer.Size, p.max)
	}
	return nil
}
