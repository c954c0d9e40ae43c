// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/provenance"
)

// ErrPredicateType reports a statement of another kind than the one that
// counts: a signed SBOM is no provenance.
var ErrPredicateType = errors.New("wrong predicate type")

// Check parses the payload of a verified bundle and demands that it is SLSA
// provenance of target.
func Check(payload []byte, target Target) (*provenance.Statement, error) {
	st, err := provenance.ParseStatement(payload)
	if err != nil {
		return nil, err
	}
	if st.PredicateType != provenance.PredicateSLSA1 {
		return nil, fmt.Errorf("%w: the statement's is %q, want %q", ErrPredicateType, st.PredicateType, provenance.PredicateSLSA1)
	}
	return st, checkSubjects(st.Subject, target)
}

// checkSubjects looks for one subject that binds. The reason given is that of
// the subject that came closest.
func checkSubjects(subjects []provenance.Subject, target Target) error {
	reason := fmt.Errorf("%w: no subject has image-id %s or manifest %s", ErrSubject, target.Document.Config.Digest, target.Manifest)
	for _, s := range subjects {
		var err error
		switch {
		case s.Name == provenance.SubjectManifest && names(s, target.Manifest):
			err = checkPlatform(s, target.Platform)
		case s.Name == provenance.SubjectImageID && names(s, target.Document.Config.Digest):
			if err = checkPlatform(s, target.Platform); err == nil {
				err = checkEager(target)
			}
		default:
			continue
		}
		if err == nil {
			return nil
		}
		reason = err
	}
	return reason
}

// Foretold lists the manifests that a statement foretells for a platform. The manifest may be another one and the statement still bind, by
// the image ID: another compression, or another deflate in the daemon, gives
// other bytes of the same layers.
func Foretold(st *provenance.Statement, platform ocispec.Platform) []digest.Digest {
	var out []digest.Digest
	for _, s := range st.Subject {
		if s.Name == provenance.SubjectManifest && checkPlatform(s, platform) == nil {
			out = append(out, digest.NewDigestFromEncoded(digest.SHA256, s.Digest["sha256"]))
		}
	}
	return out
}
