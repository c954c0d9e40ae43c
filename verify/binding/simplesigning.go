// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/internal/document"
)

// simpleSigningType is the only critical.type that cosign writes. GPG simple
// signing has another, and means something else.
const simpleSigningType = "cosign container image signature"

// ErrSimpleSigning reports a signed payload that is not the simple signing
// document that cosign writes.
var ErrSimpleSigning = errors.New("not a simple signing payload")

// simpleSigning is the payload of cosign's old form
// (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#payload).
// "critical" must be understood as a whole; "optional" holds annotations.
type simpleSigning struct {
	Critical struct {
		Identity struct {
			DockerReference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest digest.Digest `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]json.RawMessage `json:"optional"`
}

// bindSimpleSigning accepts a payload that names the manifest or an index.
// Unknown members are errors: a critical one must not be passed over.
func bindSimpleSigning(c *claim.Claim, payload []byte, target Target) error {
	var p simpleSigning
	if err := strictjson.Unmarshal(payload, &p); err != nil {
		return fmt.Errorf("%w: %w", ErrSimpleSigning, err)
	}
	if p.Critical.Type != simpleSigningType {
		return fmt.Errorf("%w: critical.type is %q, want %q", ErrSimpleSigning, p.Critical.Type, simpleSigningType)
	}
	if err := document.CheckDigest(p.Critical.Image.Digest); err != nil {
		return fmt.Errorf("%w: docker-manifest-digest: %w", ErrSimpleSigning, err)
	}
	if name := p.Critical.Identity.DockerReference; name != "" {
		c.Names = []string{name}
	}
	c.Annotations = map[string]string{}
	for key, raw := range p.Optional {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		c.Annotations[key] = text
	}
	return bindDigest(c, p.Critical.Image.Digest, target)
}
