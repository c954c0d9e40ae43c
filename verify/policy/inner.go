// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
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
		c.compiled(err)
		return in
	}
	p, err := cue.Compile(at, s.Data)
	in.check = func(ctx context.Context, input []byte, _ time.Time) error { return p.Check(ctx, input) }
	c.compiled(err)
	return in
}

func (c *compiler) compiled(err error) {
	if err != nil {
		c.faults = append(c.faults, fmt.Errorf("%w: %w", ErrInvalid, err))
	}
}

// judge evaluates the policy over JSON: ErrInnerPolicy if it refuses,
// ErrNoResult if it could not be evaluated.
func (in *inner) judge(ctx context.Context, input []byte, now time.Time) error {
	err := in.check(ctx, input, now)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rego.ErrDenied) || errors.Is(err, cue.ErrDenied):
		return fmt.Errorf("%w: %w", ErrInnerPolicy, err)
	default:
		return fmt.Errorf("%w: %w", ErrNoResult, err)
	}
}
