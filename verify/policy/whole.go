// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/claim"
)

// What spec.policy sees, as policy-controller writes it down
// (https://github.com/sigstore/policy-controller/blob/main/pkg/webhook/validator_result.go).
type (
	wholeInput struct {
		AuthorityMatches map[string]authorityMatch `json:"authorityMatches,omitempty"`
		// Config has the image config by os/architecture[/variant]: on a node
		// that of the one manifest that is judged.
		Config map[string]json.RawMessage `json:"config,omitempty"`
	}
	authorityMatch struct {
		Signatures   []signatureInput              `json:"signatures,omitempty"`
		Attestations map[string][]attestationInput `json:"attestations,omitempty"`
		Static       bool                          `json:"static,omitempty"`
	}
	signatureInput struct {
		ID              string `json:"id,omitempty"`
		Subject         string `json:"subject,omitempty"`
		Issuer          string `json:"issuer,omitempty"`
		WorkflowTrigger string `json:"githubWorkflowTrigger,omitempty"`
		WorkflowSHA     string `json:"githubWorkflowSha,omitempty"`
		WorkflowName    string `json:"githubWorkflowName,omitempty"`
		WorkflowRepo    string `json:"githubWorkflowRepo,omitempty"`
		WorkflowRef     string `json:"githubWorkflowRef,omitempty"`
	}
	attestationInput struct {
		signatureInput
		PredicateType string `json:"predicateType,omitempty"`
		Digest        string `json:"digest,omitempty"`
	}
)

// judgeWhole evaluates spec.policy over all authorities that are satisfied.
func (p *Policy) judgeWhole(ctx context.Context, c Case, e Evidence, found []satisfied) error {
	if len(p.whole.pod) > 0 {
		return fmt.Errorf("%w: spec.policy.%s", ErrNeedsPod, strings.Join(p.whole.pod, ", "))
	}
	input := wholeInput{AuthorityMatches: map[string]authorityMatch{}}
	for _, s := range found {
		input.AuthorityMatches[s.authority.Name] = s.input()
	}
	if p.whole.config {
		config, err := e.Config(ctx)
		if err != nil {
			return err
		}
		platform, err := platformOf(config)
		if err != nil {
			return err
		}
		input.Config = map[string]json.RawMessage{platform: config}
	}
	text, err := json.Marshal(input)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoResult, err)
	}
	return p.whole.judge(ctx, text, c.Now)
}

func (s *satisfied) input() authorityMatch {
	switch {
	case s.authority.Static != nil:
		return authorityMatch{Static: true}
	case s.attestations == nil:
		m := authorityMatch{}
		for _, cl := range s.claims {
			m.Signatures = append(m.Signatures, describe(cl))
		}
		return m
	}
	m := authorityMatch{Attestations: map[string][]attestationInput{}}
	for name, list := range s.attestations {
		for _, a := range list {
			m.Attestations[name] = append(m.Attestations[name], attestationInput{describe(a.claim), a.predicateType, a.claim.Evidence.String()})
		}
	}
	return m
}

func describe(cl claim.Claim) signatureInput {
	ext := cl.Signer.Extensions
	_, id, _ := strings.Cut(cl.Evidence.String(), ":")
	return signatureInput{
		ID: id, Subject: cl.Signer.Subject, Issuer: cl.Signer.Issuer,
		WorkflowTrigger: ext["githubWorkflowTrigger"], WorkflowSHA: ext["githubWorkflowSHA"],
		WorkflowName: ext["githubWorkflowName"], WorkflowRepo: ext["githubWorkflowRepository"], WorkflowRef: ext["githubWorkflowRef"],
	}
}

// platformOf is the platform that an image config states, as
// os/architecture[/variant][:version].
func platformOf(config []byte) (string, error) {
	var c struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
		OSVersion    string `json:"os.version"`
	}
	if err := strictjson.UnmarshalOpen(config, &c); err != nil {
		return "", fmt.Errorf("%w: image config: %w", ErrNoResult, err)
	}
	platform := c.OS + "/" + c.Architecture
	if c.Variant != "" {
		platform += "/" + c.Variant
	}
	if c.OSVersion != "" {
		platform += ":" + c.OSVersion
	}
	return platform, nil
}
