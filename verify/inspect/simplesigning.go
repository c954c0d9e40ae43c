// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/internal/document"
)

// maxSimpleSigning bounds the payload of cosign's old form, in bytes: it holds a
// name, a digest and a few annotations.
const maxSimpleSigning = 64 << 10

// simpleSigning is the manifest that the payload of a legacy signature names
// (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#payload),
// which the signature's own digest does not tell. Empty if there is no such
// payload: whether it is sound is for the binding step to say.
func simpleSigning(c evidence.Candidate) digest.Digest {
	if c.Form != evidence.Legacy || len(c.Payload) > maxSimpleSigning {
		return ""
	}
	var payload struct {
		Critical struct {
			Image struct {
				Digest digest.Digest `json:"docker-manifest-digest"`
			} `json:"image"`
		} `json:"critical"`
	}
	if strictjson.UnmarshalOpen(c.Payload, &payload) != nil || document.CheckDigest(payload.Critical.Image.Digest) != nil {
		return ""
	}
	return payload.Critical.Image.Digest
}
