// SPDX-License-Identifier: Apache-2.0

package provenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/plombproject/plomb/internal/strictjson"
)

const (
	// StatementType is the only `_type` of statements that plomb writes.
	StatementType = "https://in-toto.io/Statement/v1"

	// PredicateSLSA1 is the predicate type of SLSA provenance v1.
	PredicateSLSA1 = "https://slsa.dev/provenance/v1"

	// PayloadType is the DSSE payload type of an in-toto statement.
	PayloadType = "application/vnd.in-toto+json"

	// SubjectImageID names a subject whose SHA-256 is that of an image
	// config, which the field calls the image ID.
	SubjectImageID = "image-id"

	// SubjectManifest names a subject whose SHA-256 is that of an image
	// manifest, foretold before the export.
	SubjectManifest = "manifest"

	// AnnotationPlatform is the subject annotation that tells the platform, as
	// os/architecture[/variant], that an image-id or manifest subject is for.
	AnnotationPlatform = "platform"

	// AnnotationMediaType is the subject annotation that tells the media type
	// of the manifest that a manifest subject foretells.
	AnnotationMediaType = "mediaType"
)

// ErrStatement reports bytes that are not an in-toto Statement v1 as plomb
// writes it.
var ErrStatement = errors.New("not an in-toto v1 statement")

// A Statement binds a predicate to the digests of the artifacts it is about.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// A Subject is one artifact. Digest maps an algorithm to lower-case hex;
// "sha256" is always there.
type Subject struct {
	Name        string            `json:"name"`
	Digest      map[string]string `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ParseStatement reads a statement strictly: unknown and repeated keys, another
// statement type, no subjects, or a subject without a SHA-256 are errors that
// wrap ErrStatement. The predicate stays raw.
func ParseStatement(payload []byte) (*Statement, error) {
	var s Statement
	if err := strictjson.Unmarshal(payload, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	if s.Type != StatementType {
		return nil, fmt.Errorf("%w: _type is %q, want %q", ErrStatement, s.Type, StatementType)
	}
	if s.PredicateType == "" {
		return nil, fmt.Errorf("%w: predicateType is empty", ErrStatement)
	}
	if len(s.Subject) == 0 {
		return nil, fmt.Errorf("%w: it has no subject", ErrStatement)
	}
	for i, sub := range s.Subject {
		if !sha256Hex.MatchString(sub.Digest["sha256"]) {
			return nil, fmt.Errorf("%w: subject %d (%q) has no valid sha256 digest", ErrStatement, i, sub.Name)
		}
	}
	return &s, nil
}
