// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"slices"
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
	// zero for ever. The error is the reason why not, or that it could not be
	// found out.
	check(ctx context.Context, c Case, e Evidence, claims []claim.Claim) (changesAt time.Time, err error)
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

// conditionsOf builds the conditions of a policy, in the order in which they
// are checked: what costs nothing first. It reports every fault of the policy
// that it finds, each with file and line.
func conditionsOf(p *spec.ImagePolicy) ([]condition, []error) {
	var b builder
	for _, build := range builders {
		build(&b, p)
	}
	return b.except(p), b.faults
}

// builders make the conditions, each those of one field.
var builders = []func(*builder, *spec.ImagePolicy){}

// A builder gathers conditions and what is wrong with a policy.
type builder struct {
	conditions []condition
	faults     []error
}

// except applies the exceptions of a policy to its conditions.
func (b *builder) except(*spec.ImagePolicy) []condition { return b.conditions }

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

// hold checks all conditions. It is what Judge calls: what several conditions
// need is found out once.
func hold(ctx context.Context, conditions []condition, c Case, e Evidence, claims []claim.Claim) outcome {
	var out outcome
	for _, cond := range conditions {
		changesAt, err := cond.check(ctx, c, e, claims)
		if err != nil {
			out.reasons = append(out.reasons, err)
		}
		out.changesAt = earliest(out.changesAt, changesAt)
	}
	return out
}

// sieve is a condition that makes claims count for nothing. Judge asks welcome
// about each claim before it looks for a satisfied authority, so that what a
// denied signer says neither satisfies nor spoils anything.
type sieve interface {
	condition
	welcome(claim.Claim) error
}

// sift leaves out the claims that a sieve among the conditions refuses, and
// says why.
func sift(conditions []condition, claims []claim.Claim) (welcome []claim.Claim, reasons []error) {
	return slices.DeleteFunc(slices.Clone(claims), func(cl claim.Claim) bool {
		for _, cond := range conditions {
			if s, ok := cond.(sieve); ok {
				if err := s.welcome(cl); err != nil {
					reasons = append(reasons, err)
					return true
				}
			}
		}
		return false
	}), reasons
}

// earliest is the earlier of two times of which zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
