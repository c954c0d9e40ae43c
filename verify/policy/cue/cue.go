// SPDX-License-Identifier: Apache-2.0

// Package cue evaluates policies in CUE, as Sigstore's policies for
// attestations are written: the data has to agree with the policy.
//
// A policy sees its data and nothing else: it can neither import other packages
// nor embed files, and the packages of the language that it may import have no
// effects. CUE refuses recursion, but it has no bound on time or memory: an
// evaluation that takes too long is given up, and goes on in the background
// until it is done, at most one for each policy. Policies come from whoever
// runs the node; data is bounded by MaxInput.
package cue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	cuejson "cuelang.org/go/encoding/json"
)

var (
	// ErrInvalid reports a policy that cannot be compiled.
	ErrInvalid = errors.New("invalid CUE")

	// ErrDenied reports data that do not agree with the policy.
	ErrDenied = errors.New("the CUE policy does not hold")

	// ErrEvaluation reports an evaluation that came to no result. Where time
	// ran out it wraps context.DeadlineExceeded.
	ErrEvaluation = errors.New("the CUE policy could not be evaluated")
)

const (
	// MaxTime bounds one evaluation, if the context does not bound it more.
	MaxTime = 5 * time.Second
	// MaxInput bounds the data, in bytes: a Sigstore bundle at most. Reading
	// takes some 50 bytes of memory for each.
	MaxInput = 16 << 20
)

// packages are what a policy may import: functions of their arguments.
var packages = []string{
	"crypto/ed25519", "crypto/hmac", "crypto/md5", "crypto/sha1", "crypto/sha256", "crypto/sha512",
	"encoding/base64", "encoding/csv", "encoding/hex", "encoding/json", "encoding/toml", "encoding/yaml",
	"html", "list", "math", "math/bits", "net", "path", "regexp", "strconv", "strings", "struct",
	"text/tabwriter", "text/template", "time", "uuid",
}

// A Program is a policy that compiles. It may be used by several goroutines,
// which then take turns.
type Program struct {
	name, src string
	// turn is taken for one evaluation.
	turn chan struct{}
}

// Compile checks a policy. It fails with one SyntaxError for each fault, joined;
// name stands before the faults, which have the line in src.
func Compile(name, src string) (*Program, error) {
	file, err := parser.ParseFile("", src)
	if err != nil {
		return nil, faults(name, err)
	}
	if err := closed(name, file); err != nil {
		return nil, err
	}
	p := &Program{name: name, src: src, turn: make(chan struct{}, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), MaxTime)
	defer cancel()
	return p, p.run(ctx, func() error {
		if err := fresh().CompileString(src).Err(); err != nil {
			return faults(name, err)
		}
		return nil
	})
}

// closed refuses what would reach out of the policy: imports and attributes,
// which embed files.
func closed(name string, file *ast.File) error {
	var all []error
	refuse := func(n ast.Node, format string, args ...any) {
		all = append(all, &SyntaxError{Kind: ErrInvalid, Name: name, Line: n.Pos().Line(), Message: fmt.Sprintf(format, args...)})
	}
	ast.Walk(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			if path := strings.Trim(n.Path.Value, `"`); !slices.Contains(packages, path) {
				refuse(n, "package %s cannot be imported", path)
			}
		case *ast.Attribute:
			refuse(n, "attribute %s is not read", n.Text)
		}
		return true
	}, nil)
	return errors.Join(all...)
}

// fresh makes a context for one evaluation: contexts are not safe for concurrent
// use, and keep what they have seen.
func fresh() *cue.Context {
	return cuecontext.New(cuecontext.EvaluatorVersion(cuecontext.EvalStable))
}

// Check unifies the policy with data, which is JSON. It returns nil if they
// agree, ErrDenied with the first disagreements if they do not, and
// ErrEvaluation if there is no result.
//
// As in policy-controller, a field that the policy gives a value and the data
// lack counts as agreed; `field!: value` demands it. Unlike there, a field that
// the policy only bounds must be in the data.
func (p *Program) Check(ctx context.Context, data []byte) error {
	if len(data) > MaxInput {
		return fmt.Errorf("%w: %s: %d bytes of data, at most %d are read", ErrEvaluation, p.name, len(data), MaxInput)
	}
	ctx, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	return p.run(ctx, func() error {
		c := fresh()
		expr, err := cuejson.Extract("", data)
		if err != nil {
			return fmt.Errorf("%w: %s: input: %w", ErrEvaluation, p.name, err)
		}
		schema, value := c.CompileString(p.src), c.BuildExpr(expr)
		if err := value.Err(); err != nil {
			return fmt.Errorf("%w: %s: input: %w", ErrEvaluation, p.name, err)
		}
		if err := schema.Unify(value).Validate(cue.Concrete(true)); err != nil {
			return fmt.Errorf("%w: %s: %s", ErrDenied, p.name, brief(err))
		}
		return nil
	})
}

// run gives f up when ctx is done. Until f has returned, nobody else's turn
// comes, so that a policy which never ends costs one goroutine and not many.
func (p *Program) run(ctx context.Context, f func() error) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%w: %s: waiting for another evaluation: %w", ErrEvaluation, p.name, ctx.Err())
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("%w: %s: %v", ErrEvaluation, p.name, r)
			}
			<-p.turn
		}()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %s: %w", ErrEvaluation, p.name, ctx.Err())
	}
}

// faults are the errors of the compiler, by the line in the policy.
func faults(name string, err error) error {
	var all []error
	for _, e := range cueerrors.Errors(err) {
		fault := &SyntaxError{Kind: ErrInvalid, Name: name, Message: e.Error()}
		if pos := e.Position(); pos.IsValid() {
			fault.Line, fault.Column = pos.Line(), pos.Column()
		}
		all = append(all, fault)
	}
	return errors.Join(all...)
}

// brief is the first disagreements on one line: there can be thousands.
func brief(err error) string {
	const most = 3
	var texts []string
	for i, e := range cueerrors.Errors(err) {
		if i == most {
			texts = append(texts, "…")
			break
		}
		texts = append(texts, e.Error())
	}
	return strings.Join(texts, "; ")
}
