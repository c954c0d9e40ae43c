// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// A condition is something that an ImagePolicy demands beyond its authorities.
type condition interface {
	// name is what exceptions call it: that of a rule, or one of the
	// condition names below.
	name() string
	// check says whether the condition holds for the claims that one satisfied
	// authority rests on, and until when the clock alone cannot change that;
	// zero for ever. The error is the reason why not, made by refuse, or that
	// it could not be found out.
	check(ctx context.Context, f *facts) (changesAt time.Time, err error)
}

// Names of the conditions that are not rules. An exception names them, all but
// the last.
const (
	conditionFreshness      = "freshness"
	conditionSignedIdentity = "signedIdentity"
	conditionByproducts     = "byproducts"
	conditionPackages       = "packages"
	conditionMaterials      = "materials"
	conditionLazyLayers     = "lazyLayers"
	conditionDeny           = "deny"
)

// builders make the conditions, each those of one field, in the order in which
// they are checked: what costs nothing first.
var builders = []func(*builder, *spec.ImagePolicy){
	buildDeny, buildLazyLayers, buildSignedIdentity, buildFreshness, buildRules, buildMaterials, buildByproducts, buildPackages,
}

// conditionsOf builds the conditions of a policy. It reports every fault of the
// policy that it finds, each with file and line.
func conditionsOf(p *spec.ImagePolicy) ([]condition, []error) {
	var b builder
	for _, build := range builders {
		build(&b, p)
	}
	b.except(p.Exceptions)
	return b.conditions, b.faults
}

// A builder gathers conditions and what is wrong with a policy.
type builder struct {
	conditions []condition
	faults     []error
}

func (b *builder) add(at spec.Origin, c condition) {
	b.conditions = append(b.conditions, &placed{condition: c, at: at})
}

func (b *builder) fault(at spec.Origin, format string, args ...any) {
	b.faults = append(b.faults, fmt.Errorf("%w: %s: %w", ErrInvalid, at, fmt.Errorf(format, args...)))
}

// placed is a condition with the place it was written in, and the exceptions
// from it.
type placed struct {
	condition
	at         spec.Origin
	exceptions []*exception
}

func (p *placed) check(ctx context.Context, f *facts) (time.Time, error) {
	changesAt, err := p.condition.check(ctx, f)
	return changesAt, p.named(err)
}

// named says in an error which condition it is about, and where that stands.
func (p *placed) named(err error) error {
	var refusal *ConditionError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		named := *refusal
		named.Condition, named.Origin = p.name(), p.at
		return &named
	}
	return fmt.Errorf("%s (%s): %w", p.name(), p.at, err)
}

// deniedImage refuses an image that is listed by digest, before anything else
// is looked at.
func deniedImage(conditions []condition, c Case) error {
	for _, cond := range conditions {
		p, ok := cond.(*placed)
		if !ok {
			continue
		}
		if d, ok := p.condition.(*deny); ok {
			if err := d.image(c); err != nil {
				return p.named(err)
			}
		}
	}
	return nil
}

// An outcome is what the conditions of a policy say together.
type outcome struct {
	// reasons are why conditions do not hold; none: all do.
	reasons []error
	// exceptions are those without which a condition would not hold.
	exceptions []string
	// changesAt is the earliest time at which the clock could change the
	// outcome, zero for never.
	changesAt time.Time
}

// hold checks all conditions over the claims of one satisfied authority, so that
// all reasons are told at once; after a denial, which nothing can mend, none. It
// is what Judge calls: what several conditions need is found out once.
func hold(ctx context.Context, conditions []condition, c Case, e Evidence, claims []claim.Claim) outcome {
	var out outcome
	f := newFacts(conditions, c, e, claims)
	for _, cond := range conditions {
		changesAt, err := cond.check(ctx, f)
		if p, ok := cond.(*placed); ok && err != nil {
			err = p.excuse(f, err, &out)
		}
		if err != nil {
			out.reasons = append(out.reasons, err)
		}
		out.changesAt = earliest(out.changesAt, changesAt)
		if errors.Is(err, ErrDenied) {
			break
		}
	}
	return out
}

// sieve is a condition that makes claims count for nothing. Judge has sift ask
// it about each claim before it looks for a satisfied authority, so that what a
// denied signer says neither satisfies nor spoils anything.
type sieve interface {
	welcome(claim.Claim) error
}

// sift leaves out the claims that a sieve among the conditions refuses, and
// says why.
func sift(conditions []condition, claims []claim.Claim) (welcome []claim.Claim, reasons []error) {
	for _, cl := range claims {
		if err := refusedBySieve(conditions, cl); err != nil {
			reasons = append(reasons, err)
			continue
		}
		welcome = append(welcome, cl)
	}
	return welcome, reasons
}

func refusedBySieve(conditions []condition, cl claim.Claim) error {
	for _, cond := range conditions {
		p, ok := cond.(*placed)
		if !ok {
			continue
		}
		if s, ok := p.condition.(sieve); ok {
			if err := s.welcome(cl); err != nil {
				return p.named(err)
			}
		}
	}
	return nil
}

// earliest is the earlier of two times of which zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
