// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/internal/document"
)

// BindBlob makes a claim of what was signed, if it is about the artifact with
// the digests, which may be of several algorithms. whole tells that the content
// itself was given to the trust step, which then compared it with a signature
// over a message.
func BindBlob(s Signed, digests []digest.Digest, whole bool) (*claim.Claim, error) {
	c := &claim.Claim{
		Kind: claim.Signature, Format: s.Format, Scope: claim.Artifact, Subject: digests[0],
		Signer: s.Signer, SignedAt: s.SignedAt, SignedAfter: s.SignedAfter, Logged: s.Logged, Evidence: s.Evidence, Where: s.Where,
	}
	switch {
	case s.PayloadType == provenance.PayloadType:
		return c, bindBlobStatement(c, s.Payload, digests)
	case s.PayloadType != "":
		return nil, fmt.Errorf("%w: its type is %q", ErrPayload, s.PayloadType)
	case whole && s.Payload != nil || slices.Contains(digests, s.Digest):
		return c, nil
	}
	return nil, fmt.Errorf("%w: it is over %s, the artifact is %s", ErrSubject, s.Digest, digests[0])
}

func bindBlobStatement(c *claim.Claim, payload []byte, digests []digest.Digest) error {
	st, err := document.ParseStatement(payload)
	if err != nil {
		return err
	}
	if !slices.Contains(statementTypes, st.Type) {
		return fmt.Errorf("%w: its _type is %q, want %s", document.ErrStatement, st.Type, provenance.StatementType)
	}
	c.Statement, c.Predicate, c.PredicateType = payload, st.Predicate, st.PredicateType
	for _, s := range st.Subjects {
		for algorithm, hex := range s.Digest {
			if slices.Contains(digests, digest.NewDigestFromEncoded(digest.Algorithm(algorithm), hex)) {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: no subject of the statement has %s", ErrSubject, digests[0])
}
