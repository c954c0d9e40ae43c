// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/claim"
)

// facts are what the conditions of one policy look at, for one manifest: each
// is found out once, when the first condition asks.
type facts struct {
	c        Case
	evidence Evidence
	// claims are those of the satisfied authority, less those of denied
	// signers, which are in denied with the reasons.
	claims []claim.Claim
	denied []deniedClaim

	provenances memo[[]built]
	config      memo[any]
	inventory   memo[[]listed]
	rules       ruleValues
}

type deniedClaim struct {
	claim.Claim
	reason error
}

func newFacts(conditions []condition, c Case, e Evidence, claims []claim.Claim) *facts {
	if e == nil {
		e = nothing{}
	}
	f := &facts{c: c, evidence: e}
	for _, cl := range claims {
		if err := refusedBySieve(conditions, cl); err != nil {
			f.denied = append(f.denied, deniedClaim{cl, err})
			continue
		}
		f.claims = append(f.claims, cl)
	}
	return f
}

// nothing is evidence where there is none.
type nothing struct{}

func (nothing) Claims(Trust) []claim.Claim { return nil }

func (nothing) Config(context.Context) ([]byte, error) {
	return nil, refuse(ErrRuleAnswer, "give the policy an authority that looks at evidence", "there is no image config")
}

func (nothing) Byproducts(context.Context, claim.Claim, string) ([][]byte, error) {
	return nil, ErrByproduct
}

func (nothing) Material(context.Context, string, digest.Digest, string) error { return ErrBaseImage }

// signatures are the claims that approve of the image.
func (f *facts) signatures() []claim.Claim {
	return slices.DeleteFunc(slices.Clone(f.claims), func(c claim.Claim) bool { return !c.IsSignature() })
}

// approvals are the signatures or, where the authority asks for attestations
// alone, the attestations.
func (f *facts) approvals() []claim.Claim {
	if list := f.signatures(); len(list) > 0 {
		return list
	}
	return f.claims
}

// configDocument is the image config, which costs a request.
func (f *facts) configDocument(ctx context.Context) (any, error) {
	return f.config.get(func() (any, error) {
		data, err := f.evidence.Config(ctx)
		if err != nil {
			return nil, fmt.Errorf("image config: %w", err)
		}
		var doc any
		if err := strictjson.UnmarshalOpen(data, &doc); err != nil {
			return nil, refuse(ErrRuleAnswer, "build an image with a valid config", "image config: %w", err)
		}
		return doc, nil
	})
}

// built is provenance, as far as conditions look at it.
type built struct {
	claim claim.Claim
	slsa1
}

// slsa1 is the part of SLSA provenance v1 that does not depend on the build
// type (https://slsa.dev/spec/v1.0/provenance).
type slsa1 struct {
	BuildDefinition struct {
		BuildType            string                    `json:"buildType"`
		InternalParameters   json.RawMessage           `json:"internalParameters"`
		ResolvedDependencies []slsa.ResourceDescriptor `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Metadata struct {
			StartedOn  *time.Time `json:"startedOn"`
			FinishedOn *time.Time `json:"finishedOn"`
		} `json:"metadata"`
		Byproducts []slsa.ResourceDescriptor `json:"byproducts"`
	} `json:"runDetails"`
}

// builds are the verified provenances of the manifest, at least one.
func (f *facts) builds() ([]built, error) {
	return f.provenances.get(func() ([]built, error) {
		var list []built
		for _, c := range f.claims {
			if c.PredicateType != provenance.PredicateSLSA1 {
				continue
			}
			b := built{claim: c}
			if err := strictjson.UnmarshalOpen(c.Predicate, &b.slsa1); err != nil {
				return nil, refuse(ErrProvenance, "build again with a builder that writes SLSA v1", "from %s: %w", c.Signer, err)
			}
			list = append(list, b)
		}
		if len(list) == 0 {
			return nil, refuse(ErrNoProvenance, "build with plomb, or attest SLSA provenance v1 under the same authority",
				"%d verified statements, none is SLSA provenance v1", len(f.claims))
		}
		return list, nil
	})
}

// byPlomb reports whether the provenance is of plomb's own build type.
func (b *built) byPlomb() bool { return b.BuildDefinition.BuildType == slsa.BuildType }

// names are such types of which the provenance names a byproduct, for any
// platform, each once.
func (b *built) names(is func(predicateType string) bool) []string {
	var types []string
	for _, r := range b.RunDetails.Byproducts {
		if t, _ := r.Annotations[slsa.AnnotationPredicateType].(string); t != "" && is(t) && !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return types
}

// memo is a fact that is found out once. An error of the context is not a
// fact.
type memo[T any] struct {
	done  bool
	value T
	err   error
}

func (m *memo[T]) get(find func() (T, error)) (T, error) {
	if !m.done {
		m.value, m.err = find()
		m.done = !errors.Is(m.err, context.Canceled) && !errors.Is(m.err, context.DeadlineExceeded)
	}
	return m.value, m.err
}

// predicateTypeOf is the URI that a policy means.
func predicateTypeOf(name string) (string, error) {
	uri := PredicateType(name)
	if !strings.Contains(uri, ":") {
		return "", fmt.Errorf("predicateType %q is neither a URI nor a short name such as spdx", name)
	}
	return uri, nil
}
