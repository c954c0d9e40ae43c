// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// An exception lets an image pass conditions until it expires.
type exception struct {
	at     spec.Origin
	digest digest.Digest // or
	image  *glob

	reason, ticket string
	expires        time.Time
}

// except applies the exceptions of a policy to its conditions. One that names
// no condition is a fault: it would except nothing, and its author thinks it
// does.
func (b *builder) except(list []spec.Exception) {
	for _, s := range list {
		e := b.exception(s)
		for _, name := range s.Conditions {
			if name == conditionDeny {
				b.fault(s.At, "there are no exceptions from deny: take the entry off the list")
				continue
			}
			i := slices.IndexFunc(b.conditions, func(c condition) bool { return c.name() == name })
			if i < 0 {
				b.fault(s.At, "exception from %q: the policy has no rule and no condition of that name", name)
				continue
			}
			c := b.conditions[i].(*placed)
			c.exceptions = append(c.exceptions, e)
		}
	}
}

func (b *builder) exception(s spec.Exception) *exception {
	e := &exception{at: s.At, reason: s.Reason, ticket: s.Ticket, expires: b.time(s.At, "expires", s.Expires)}
	switch {
	case (s.Digest == "") == (s.Image == ""):
		b.fault(s.At, "an exception needs exactly one of digest and image")
	case s.Digest != "":
		e.digest = b.sha256(s.At, "digest", s.Digest)
	default:
		g, err := compileGlob(s.Image)
		if err != nil {
			b.fault(s.At, "image: %w", err)
		}
		e.image = &g
	}
	if s.Reason == "" {
		b.fault(s.At, "an exception needs a reason")
	}
	if s.Expires == "" {
		b.fault(s.At, "an exception needs a time when it expires")
	}
	if len(s.Conditions) == 0 {
		b.fault(s.At, "an exception names the conditions that it is from")
	}
	return e
}

func (e *exception) String() string {
	s := fmt.Sprintf("%s until %s (%s)", e.reason, e.expires.UTC().Format(time.RFC3339), e.at)
	if e.ticket != "" {
		s = e.ticket + ": " + s
	}
	return s
}

// means reports whether the exception is for this image.
func (e *exception) means(c Case) bool {
	if e.image == nil {
		return slices.Contains(imageDigests(c), e.digest)
	}
	spellings, err := Spellings(c.Name, c.Digest)
	return err == nil && slices.ContainsFunc(spellings, e.image.match)
}

// excuse returns nil if an exception in force covers err, the reason of a
// condition; else err, with the exception that has expired.
func (p *placed) excuse(f *facts, err error, out *outcome) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var expired *exception
	for _, e := range p.exceptions {
		switch {
		case !e.means(f.c):
		case f.c.Now.Before(e.expires):
			out.exceptions = append(out.exceptions, p.name()+": "+e.String())
			out.changesAt = earliest(out.changesAt, e.expires)
			return nil
		default:
			expired = e
		}
	}
	if expired == nil {
		return err
	}
	return &ConditionError{
		Condition: p.name(), Origin: p.at, Err: fmt.Errorf("%w; %w: %s", reasonOf(err), ErrExpired, expired), Remedy: remedyOf(err),
	}
}

// reasonOf and remedyOf are the parts of a ConditionError.
func reasonOf(err error) error {
	var c *ConditionError
	if errors.As(err, &c) {
		return c.Err
	}
	return err
}

func remedyOf(err error) string {
	var c *ConditionError
	if errors.As(err, &c) {
		return c.Remedy
	}
	return "extend the exception"
}
