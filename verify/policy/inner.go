// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/plombproject/plomb/verify/policy/cue"
	"github.com/plombproject/plomb/verify/policy/rego"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// inner is a policy in CUE or Rego, over an attestation or over all
// authorities.
type inner struct {
	// check evaluates it over JSON.
	check func(ctx context.Context, input []byte, now time.Time) error
	// config reports that it wants to see the image config, and pod which of
	// its fields would need the pod.
	config bool
	pod    []string

	known verdicts
}

// inner compiles a policy; name is for messages.
func (c *compiler) inner(name string, s *spec.Policy) *inner {
	in := &inner{config: s.FetchConfigFile, pod: given(
		"includeSpec", s.IncludeSpec, "includeObjectMeta", s.IncludeObjectMeta, "includeTypeMeta", s.IncludeTypeMeta,
	)}
	if s.Data == "" {
		c.fault(s.At, "policy.data of %s is missing", name)
		return in
	}
	at := string(s.At)
	if s.Type == "rego" {
		p, err := rego.Compile(at, s.Data, rego.V0)
		in.check = func(ctx context.Context, input []byte, now time.Time) error { return p.Check(ctx, input, now) }
		c.compiled(s, err)
		return in
	}
	p, err := cue.Compile(at, s.Data)
	in.check = func(ctx context.Context, input []byte, _ time.Time) error { return p.Check(ctx, input) }
	c.compiled(s, err)
	return in
}

// compiled notes the faults of a policy in CUE or Rego.
func (c *compiler) compiled(s *spec.Policy, err error) {
	for _, fault := range faultsOf(err) {
		at, fault := inText(s.At, s.Lines, fault)
		c.faults = append(c.faults, fmt.Errorf("%w: %s: %w", ErrInvalid, at, fault))
	}
}

// judge evaluates the policy over JSON: ErrInnerPolicy if it refuses,
// ErrNoResult if it could not be evaluated. The same question is answered once.
func (in *inner) judge(ctx context.Context, input []byte, now time.Time) error {
	err := in.known.answer(ctx, input, now, in.check)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rego.ErrDenied) || errors.Is(err, cue.ErrDenied):
		return fmt.Errorf("%w: %w", ErrInnerPolicy, err)
	}
	return fmt.Errorf("%w: %w", ErrNoResult, err)
}

// verdicts are the last few results of a policy. An image is judged again with
// every claim that becomes known, and an SBOM of 10 MB takes seconds to read.
type verdicts struct {
	mu   sync.Mutex
	last []verdict
}

const maxVerdicts = 16

type verdict struct {
	question
	err error
}

// question is what was judged, and at what time of the decision.
type question struct {
	input [sha256.Size]byte
	now   int64
}

// answer asks check, unless it was asked the same: then it is not asked again,
// though it may have taken too long and so come to no result.
func (v *verdicts) answer(ctx context.Context, input []byte, now time.Time, check func(context.Context, []byte, time.Time) error) error {
	q := question{sha256.Sum256(input), now.UnixNano()}
	if err, ok := v.recall(q); ok {
		return err
	}
	err := check(ctx, input, now)
	if ctx.Err() == nil {
		v.keep(q, err)
	}
	return err
}

func (v *verdicts) recall(q question) (err error, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, known := range v.last {
		if known.question == q {
			return known.err, true
		}
	}
	return nil, false
}

func (v *verdicts) keep(q question, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.last) == maxVerdicts {
		v.last = v.last[1:]
	}
	v.last = append(v.last, verdict{q, err})
}
