// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// Why a condition of an ImagePolicy does not hold.
var (
	// ErrDenied reports an image or a signer that the policy lists under deny.
	ErrDenied = errors.New("on the deny list")

	// ErrDeniedImage is ErrDenied for an image that is listed by its digest: no
	// evidence could change that.
	ErrDeniedImage = fmt.Errorf("%w by its digest", ErrDenied)

	// ErrLazy reports an image with lazily loaded layers, where the policy
	// wants none.
	ErrLazy = errors.New("lazily loaded layers are not welcome")

	// ErrSignedName reports an image that was signed under another name.
	ErrSignedName = errors.New("signed under another name")

	// ErrNoSignedName reports a signature that says no name, where the policy
	// wants one.
	ErrNoSignedName = errors.New("no name was signed")

	// ErrStale reports a build, a signature or a scan that is too old.
	ErrStale = errors.New("too old")

	// ErrNoTime reports that nothing trusted says when something happened.
	ErrNoTime = errors.New("no trusted time")

	// ErrRule reports a rule in CEL or Rego that does not hold.
	ErrRule = errors.New("a rule does not hold")

	// ErrRuleAnswer reports a rule that came to no answer: it looks at what is
	// not there, or costs too much.
	ErrRuleAnswer = errors.New("a rule has no answer")

	// ErrNoProvenance reports an image without verified SLSA provenance, where
	// a condition is about it.
	ErrNoProvenance = errors.New("no provenance")

	// ErrProvenance reports provenance that cannot be read.
	ErrProvenance = errors.New("provenance cannot be read")

	// ErrIncomplete reports provenance that does not tell all materials.
	ErrIncomplete = errors.New("materials are not completely known")

	// ErrMaterial reports a material that must not have been used.
	ErrMaterial = errors.New("denied material")

	// ErrBaseImage reports a base image that its policy does not admit.
	ErrBaseImage = errors.New("base image refused")

	// ErrByproduct reports a byproduct that the provenance does not name, that
	// is not there, or that is not the one which is named.
	ErrByproduct = errors.New("byproduct missing or not the signed one")

	// ErrNoSBOM reports an image without a signed list of its packages.
	ErrNoSBOM = errors.New("no signed SBOM")

	// ErrSBOM reports a signed SBOM that cannot be read.
	ErrSBOM = errors.New("SBOM cannot be read")

	// ErrPackage reports a package that must not be in an image.
	ErrPackage = errors.New("denied package")

	// ErrExpired reports an exception that would have helped and is over.
	ErrExpired = errors.New("the exception has expired")
)

// A ConditionError is why a condition does not hold.
type ConditionError struct {
	// Condition is the name of a rule, or of the field of the ImagePolicy.
	Condition string
	// Origin is file:line of the condition.
	Origin spec.Origin
	// Err is the reason; it wraps one of the errors above.
	Err error
	// Remedy says what would make the image pass.
	Remedy string
}

func (e *ConditionError) Error() string {
	return fmt.Sprintf("%s (%s): %v: %s", e.Condition, e.Origin, e.Err, e.Remedy)
}

func (e *ConditionError) Unwrap() error { return e.Err }

// refuse is the reason of a condition. What the condition is called and where
// it stands is added by placed.
func refuse(kind error, remedy, format string, args ...any) error {
	return &ConditionError{Err: fmt.Errorf("%w: %w", kind, fmt.Errorf(format, args...)), Remedy: remedy}
}
