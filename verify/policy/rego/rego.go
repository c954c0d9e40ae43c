// SPDX-License-Identifier: Apache-2.0

// Package rego evaluates policies in Rego, in the version that Sigstore's
// policies are written in (v0) and in the present one (v1).
//
// A module sees its input and nothing else: it cannot reach the network, the
// environment, or other modules; see builtins.go for what it may call. Rego has
// no recursion and no unbounded loops, and the context bounds the time that is
// left for a comprehension over much data. Memory is not bounded by the
// library; modules come from whoever runs the node, and inputs are bounded by
// MaxInput.
package rego

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

var (
	// ErrInvalid reports a module that cannot be compiled.
	ErrInvalid = errors.New("invalid Rego")

	// ErrDenied reports an input that the module does not approve of.
	ErrDenied = errors.New("the Rego policy does not hold")

	// ErrEvaluation reports an evaluation that came to no result. Where time
	// ran out it wraps context.DeadlineExceeded.
	ErrEvaluation = errors.New("the Rego policy could not be evaluated")
)

const (
	// MaxTime bounds one evaluation, if the context does not bound it more.
	MaxTime = 5 * time.Second
	// MaxInput bounds the input, in bytes. Reading takes some 30 bytes of
	// memory for each, and more than this is not read in MaxTime.
	MaxInput = 32 << 20
)

// A Version is the version of the language, and with it what is asked of the
// module.
type Version int

const (
	// V0 is a module as policy-controller asks it: package sigstore, where
	// isCompliant is true, or a set of objects with result, error and warning.
	V0 Version = iota
	// V1 is a module of package plomb: allow is true, and deny, a set of
	// messages, is empty or left out.
	V1
)

// A dialect is what is peculiar to a version.
type dialect struct {
	version ast.RegoVersion
	// path is the package, and rule the one that it must have.
	path, rule string
	judge      func(result any) error
}

var dialects = map[Version]dialect{
	V0: {ast.RegoV0, "sigstore", "isCompliant", judgeCompliant},
	V1: {ast.RegoV1, "plomb", "allow", judgeAllow},
}

// A Program is a compiled module. It may be used by several goroutines.
type Program struct {
	// prefix stands before what an evaluation fails with.
	prefix string
	query  rego.PreparedEvalQuery
	dialect
}

// Compile checks and compiles a module. It fails with one SyntaxError for each
// fault, joined. name stands before whatever it or an evaluation fails with,
// unless it is empty.
func Compile(name, src string, version Version) (*Program, error) {
	d, ok := dialects[version]
	if !ok {
		return nil, fmt.Errorf("%w: %s: unknown version %d", ErrInvalid, name, version)
	}
	caps := capabilities(d.version)
	module, err := ast.ParseModuleWithOpts("", src, ast.ParserOptions{RegoVersion: d.version, Capabilities: caps})
	if err != nil {
		return nil, faults(name, err)
	}
	if err := d.shape(name, module); err != nil {
		return nil, err
	}
	query, err := rego.New(
		rego.Query("data."+d.path),
		rego.ParsedModule(module),
		rego.SetRegoVersion(d.version),
		rego.Capabilities(caps),
	).PrepareForEval(context.Background())
	if err != nil {
		return nil, faults(name, err)
	}
	return &Program{prefix: prefix(name), query: query, dialect: d}, nil
}

// shape refuses a module that could never approve of anything.
func (d dialect) shape(name string, module *ast.Module) error {
	if got := strings.TrimPrefix(module.Package.Path.String(), "data."); got != d.path {
		return &SyntaxError{Kind: ErrInvalid, Name: name, Line: module.Package.Location.Row, Message: fmt.Sprintf("package %s, want %s", got, d.path)}
	}
	for _, r := range module.Rules {
		if r.Head.Ref().GroundPrefix().String() == d.rule || r.Head.Name.String() == d.rule {
			return nil
		}
	}
	return &SyntaxError{Kind: ErrInvalid, Name: name, Message: fmt.Sprintf("package %s has no rule %s", d.path, d.rule)}
}

// Check evaluates the module over input, which is JSON, at the time now. It
// returns nil if the module approves, ErrDenied with the module's messages if
// it does not, and ErrEvaluation if it comes to no result.
func (p *Program) Check(ctx context.Context, input []byte, now time.Time) error {
	if len(input) > MaxInput {
		return fmt.Errorf("%w: %s%d bytes of input, at most %d are read", ErrEvaluation, p.prefix, len(input), MaxInput)
	}
	dec := json.NewDecoder(bytes.NewReader(input))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return fmt.Errorf("%w: %sinput: %w", ErrEvaluation, p.prefix, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %sinput: more than one value", ErrEvaluation, p.prefix)
	}
	ctx, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	results, err := p.query.Eval(ctx, rego.EvalInput(value), rego.EvalTime(now))
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %s%w", ErrEvaluation, p.prefix, ctx.Err())
	case err != nil:
		return fmt.Errorf("%w: %s%s", ErrEvaluation, p.prefix, strings.ReplaceAll(err.Error(), "\n", " "))
	case len(results) != 1 || len(results[0].Expressions) != 1:
		return fmt.Errorf("%w: %sno result", ErrEvaluation, p.prefix)
	}
	if err := p.judge(results[0].Expressions[0].Value); err != nil {
		return fmt.Errorf("%s%w", p.prefix, err)
	}
	return nil
}

// faults are the errors of the compiler on one line each, by the line in the
// module.
func faults(name string, err error) error {
	var list ast.Errors
	if !errors.As(err, &list) {
		return &SyntaxError{Kind: ErrInvalid, Name: name, Message: strings.ReplaceAll(err.Error(), "\n", " ")}
	}
	var all []error
	for _, e := range list {
		fault := &SyntaxError{Kind: ErrInvalid, Name: name, Message: e.Message}
		if e.Location != nil {
			fault.Line, fault.Column = e.Location.Row, e.Location.Col
		}
		all = append(all, fault)
	}
	return errors.Join(all...)
}
