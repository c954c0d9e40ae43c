// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/plombproject/plomb/verify/policy/cel"
	"github.com/plombproject/plomb/verify/policy/rego"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// A rule is a condition in CEL or Rego.
type rule struct {
	title   string
	message string
	program program
}

// A program is a compiled rule.
type program interface {
	// mentions reports whether the rule may look at a variable.
	mentions(variable string) bool
	// holds fails with what refuse makes if the rule does not hold.
	holds(ctx context.Context, f *facts, s speaker) error
}

func (r *rule) name() string { return r.title }

// validRule keeps the names of rules apart from those of other conditions'
// fields and readable in messages.
var validRule = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$`)

var reservedNames = []string{
	conditionFreshness, conditionSignedIdentity, conditionByproducts, conditionPackages, conditionMaterials, conditionLazyLayers, conditionDeny,
}

func buildRules(b *builder, p *spec.ImagePolicy) {
	seen := map[string]bool{}
	for _, s := range p.Rules {
		switch {
		case !validRule.MatchString(s.Name):
			b.fault(s.At, "rule name %q: want letters, digits and . _ - inside", s.Name)
		case slices.Contains(reservedNames, s.Name):
			b.fault(s.At, "a rule cannot be called %s: that is another condition", s.Name)
		case seen[s.Name]:
			b.fault(s.At, "a second rule %s: exceptions could not tell them apart", s.Name)
		}
		seen[s.Name] = true
		r := &rule{title: s.Name, message: s.Message}
		var err error
		switch {
		case (s.CEL == "") == (s.Rego == ""):
			err = errors.New("a rule needs exactly one of cel and rego")
		case s.CEL != "":
			r.program, err = compileCEL(s.CEL)
		default:
			r.program, err = compileRego(s.Rego)
		}
		for _, fault := range faultsOf(err) {
			at, fault := inText(s.At, s.Lines, fault)
			b.fault(at, "rule %s: %w", s.Name, fault)
		}
		if err == nil {
			b.add(s.At, r)
		}
	}
}

// faultsOf takes apart what errors.Join put together, so that each fault has
// its place.
func faultsOf(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if list := joined.Unwrap(); len(list) > 0 && errors.Join(list...).Error() == err.Error() {
			return list
		}
	}
	return []error{err}
}

// check asks the rule about each statement that it may be about, until it
// holds: signature is who signed what the rule looks at.
func (r *rule) check(ctx context.Context, f *facts) (changesAt time.Time, err error) {
	if r.program.mentions(cel.VarNow) {
		changesAt = minute(f.c.Now).Add(time.Minute)
	}
	speakers, err := f.speakers(r.program)
	if err != nil {
		return changesAt, err
	}
	for _, s := range speakers {
		if err = r.program.holds(ctx, f, s); err == nil {
			return changesAt, nil
		}
		if refusal := new(ConditionError); !errors.As(err, &refusal) {
			return changesAt, err
		}
	}
	var refusal *ConditionError
	if errors.As(err, &refusal) && r.message != "" {
		err = &ConditionError{Err: refusal.Err, Remedy: r.message}
	}
	return changesAt, err
}

// minute is the time that rules are told: in whole minutes, so that a verdict
// holds for one at least.
func minute(t time.Time) time.Time { return t.UTC().Truncate(time.Minute) }

// celProgram is a rule in CEL.
type celProgram struct{ *cel.Program }

func compileCEL(source string) (program, error) {
	p, err := cel.Compile(source)
	if err != nil {
		return nil, err
	}
	return celProgram{p}, nil
}

func (p celProgram) mentions(variable string) bool { return p.Mentions(variable) }

func (p celProgram) holds(ctx context.Context, f *facts, s speaker) error {
	values, err := f.celValues(ctx, p, s)
	if err != nil {
		return err
	}
	ok, err := p.Evaluate(ctx, values)
	switch {
	case errors.Is(err, cel.ErrEvaluate):
		return refuse(ErrRuleAnswer, "see what it looks at with plomb inspect", "%w%s", err, s)
	case err != nil:
		return err
	case !ok:
		return refuse(ErrRule, "see what it looks at with plomb inspect", "the expression is false%s", s)
	}
	return nil
}

// regoProgram is a rule in Rego v1.
type regoProgram struct {
	*rego.Program
	// uses are the members of the input that the module looks at, whole is
	// set if it may look at all, and clock if it asks for the time.
	uses         []string
	whole, clock bool
	known        *verdicts
}

// compileRego gives the module no name: whoever reports what it says has the
// place of the rule.
func compileRego(source string) (program, error) {
	p, err := rego.Compile("", source, rego.V1)
	if err != nil {
		return nil, err
	}
	code := regoCode(source)
	r := regoProgram{Program: p, known: new(verdicts), whole: bareInput.MatchString(code), clock: strings.Contains(code, "time.")}
	for _, m := range inputMember.FindAllStringSubmatch(code, -1) {
		r.uses = append(r.uses, m[1])
	}
	return r, nil
}

// bareInput finds uses of the input other than input.NAME.
var bareInput = regexp.MustCompile(`\binput\b\s*([^.\s]|$)`)

// mentions looks for input.VARIABLE in what is code. A module that uses the
// input as a whole may look at everything.
func (p regoProgram) mentions(variable string) bool {
	return p.whole || slices.Contains(p.uses, variable) || variable == cel.VarNow && p.clock
}

var inputMember = regexp.MustCompile(`\binput\.(\w+)`)

// regoCode is a module without comments and without what stands in strings. A
// template string ($"…{input.x}…") is kept: it has code in it.
func regoCode(source string) string {
	return regoText.ReplaceAllStringFunc(source, func(s string) string {
		if s[0] == '$' {
			return s
		}
		return `""`
	})
}

var regoText = regexp.MustCompile("[$]?\"(\\\\.|[^\"\\\\\n])*\"|[$]?`[^`]*`|#[^\n]*")

func (p regoProgram) holds(ctx context.Context, f *facts, s speaker) error {
	input, err := f.regoInput(ctx, p, s)
	if err != nil {
		return err
	}
	err = p.known.answer(ctx, input, minute(f.c.Now), p.Check)
	switch {
	case errors.Is(err, rego.ErrDenied):
		return refuse(ErrRule, "see what it looks at with plomb inspect", "%w%s", err, s)
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		// Not %w: that it took its module too long says something about the
		// module and its documents, and is no deadline of the caller.
		return refuse(ErrRuleAnswer, "simplify the module, or see what it looks at with plomb inspect", "%s%s", fmt.Sprint(err), s)
	}
	return nil
}
