// SPDX-License-Identifier: Apache-2.0

// Package cel compiles and evaluates the rules of an ImagePolicy that are
// written in the Common Expression Language
// (https://github.com/google/cel-spec, language definition of version 0.25).
// It knows the variables and what a rule may cost; where their values come from
// is the business of package policy. docs/imagepolicy.md is the specification.
package cel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
)

// What a rule may cost. A unit of cost is about one operation of CEL, some ten
// to a hundred nanoseconds.
const (
	// MaxSource bounds an expression, in characters, and MaxDepth how deeply
	// its parts may nest.
	MaxSource = 16 << 10
	MaxDepth  = 64
	// MaxLoops is how deeply all, exists, exists_one, map and filter may nest.
	MaxLoops = 2
	// MaxEstimate bounds what the expression could cost for documents of the
	// sizes that a policy has to expect (see sizes), MaxCost what it does cost.
	MaxEstimate = 50_000_000
	MaxCost     = 1_000_000
	// interrupt is how many steps of a loop lie between two looks at the
	// context.
	interrupt = 100
)

var (
	// ErrCompile reports an expression that is wrong or too expensive.
	ErrCompile = errors.New("CEL expression")
	// ErrEvaluate reports an expression that has no value: it looks at
	// something that is not there, or exceeds MaxCost.
	ErrEvaluate = errors.New("CEL evaluation")
)

// A Position is a place in an expression, both from 1.
type Position struct{ Line, Column int }

// A SyntaxError is one fault of an expression. It wraps ErrCompile.
type SyntaxError struct {
	Position
	Message string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

func (e *SyntaxError) Unwrap() error { return ErrCompile }

// Where and What are the place of the fault and what it is.
func (e *SyntaxError) Where() (line, column int) { return e.Line, e.Column }

func (e *SyntaxError) What() string { return e.Message }

// A Program is a compiled rule. It can be evaluated concurrently.
type Program struct {
	program  cel.Program
	mentions []string
}

// environment is made once: it takes a millisecond.
var environment = sync.OnceValues(newEnvironment)

func newEnvironment() (*cel.Env, error) {
	standard, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	options := []cel.EnvOption{
		cel.CustomTypeProvider(provider{standard}),
		cel.ClearMacros(),
		cel.Macros(cel.HasMacro, cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro, cel.MapMacro, cel.FilterMacro),
		cel.ParserExpressionSizeLimit(MaxSource),
		cel.ParserRecursionLimit(MaxDepth),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals(),
			cel.ValidateComprehensionNestingLimit(MaxLoops)),
	}
	for name, t := range variables {
		options = append(options, cel.Variable(name, t))
	}
	return cel.NewCustomEnv(append([]cel.EnvOption{cel.StdLib()}, options...)...)
}

// Compile parses and type-checks an expression. It fails with one SyntaxError
// for each fault, joined.
func Compile(source string) (*Program, error) {
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCompile, err)
	}
	ast, issues := env.Compile(source)
	if issues.Err() != nil {
		var faults []error
		for _, e := range issues.Errors() {
			// CEL counts columns from 0.
			faults = append(faults, &SyntaxError{Position{max(e.Location.Line(), 1), max(e.Location.Column(), 0) + 1}, e.Message})
		}
		return nil, errors.Join(faults...)
	}
	if ast.OutputType() != cel.BoolType {
		return nil, &SyntaxError{Position{1, 1}, fmt.Sprintf("it is of type %s, and must be true or false", ast.OutputType())}
	}
	if err := affordable(env, ast); err != nil {
		return nil, err
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(MaxCost), cel.InterruptCheckFrequency(interrupt))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCompile, err)
	}
	return &Program{program: program, mentions: mentioned(ast)}, nil
}

// mentioned lists the variables of an expression.
func mentioned(ast *cel.Ast) []string {
	var names []string
	for _, r := range ast.NativeRep().ReferenceMap() {
		if _, ok := variables[r.Name]; ok && !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Mentions reports whether the expression looks at a variable.
func (p *Program) Mentions(variable string) bool { return slices.Contains(p.mentions, variable) }

// Values are the variables of one evaluation, made by Image, Signatures and the
// like. One that is not there has no value, and an expression that needs it
// fails.
type Values map[string]any

// ResolveName and Parent make Values an activation of CEL.
func (v Values) ResolveName(name string) (any, bool) { value, ok := v[name]; return value, ok }

// Parent is none.
func (v Values) Parent() interpreter.Activation { return nil }

// Evaluate says whether the rule holds. It fails with ErrEvaluate, or with the
// error of the context.
func (p *Program) Evaluate(ctx context.Context, values Values) (bool, error) {
	result, _, err := p.program.ContextEval(ctx, values)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrEvaluate, err)
	}
	return result == types.True, nil
}
