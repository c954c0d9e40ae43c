// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy"
)

const twoOfTwo = `  policy:
    type: cue
    data: |
      import "list"
      authorityMatches: {
        release: signatures: list.MinItems(1) & [...{issuer!: "https://issuer.example", githubWorkflowRef!: "refs/heads/main", githubWorkflowSha!: "abc", id!: =~"^[0-9a-f]{64}$"}]
        key: attestations: scan: [{predicateType!: "vuln", digest!: =~"^sha256:"}]
      }
`

// TestPolicyOverAllAuthorities: N of M.
func TestPolicyOverAllAuthorities(t *testing.T) {
	text, signer := newKey(t)
	p := one(t, keyless+"  - name: key\n    attestations: [{name: scan, predicateType: vuln}]\n    key:\n      data: |\n"+indent(text, "        ")+twoOfTwo)
	both := []claim.Claim{signature(release), attestation(signer, vuln, "{}")}
	judge(t, p, evidence{claims: both}, nil, "")
	judge(t, p, evidence{claims: both[:1]}, policy.ErrInnerPolicy, "key.attestations")
	judge(t, p, evidence{claims: both[1:]}, policy.ErrInnerPolicy, "release")

	stranger := release
	stranger.Extensions = map[string]string{"githubWorkflowRef": "refs/heads/evil", "githubWorkflowSHA": "abc"}
	judge(t, p, evidence{claims: []claim.Claim{signature(stranger), both[1]}}, policy.ErrInnerPolicy, "refs/heads/evil")
}

func TestPolicyOverTheConfig(t *testing.T) {
	p := one(t, `  authorities: [{name: all, static: {action: pass}}]
  policy:
    type: rego
    fetchConfigFile: true
    data: |
      package sigstore
      isCompliant { input.authorityMatches.all.static; input.config["linux/arm/v7"].config.User == "65532" }
`)
	require.True(t, p.NeedsEvidence())
	config := `{"os": "linux", "architecture": "arm", "variant": "v7", "config": {"User": "65532"}}`
	judge(t, p, evidence{config: config}, nil, "")
	judge(t, p, evidence{config: strings.Replace(config, "65532", "root", 1)}, policy.ErrInnerPolicy, "isCompliant is not true")
	judge(t, p, evidence{config: strings.Replace(config, "v7", "v6", 1)}, policy.ErrInnerPolicy, "")
	judge(t, p, evidence{config: `{"os": "linux", "os": "windows"}`}, policy.ErrNoResult, "image config")
	judge(t, p, evidence{config: config, err: errUnreachable}, errUnreachable, "")
}

// TestTheSameQuestionIsAnsweredOnce: and another time is another question.
func TestTheSameQuestionIsAnsweredOnce(t *testing.T) {
	p := one(t, plain+`    attestations:
    - name: slow
      predicateType: vuln
      policy:
        type: rego
        data: |
          package sigstore
          isCompliant { n := numbers.range(1, 200000); count(n) > 0; time.now_ns() < 1800000000000000000 }
`)
	e := evidence{claims: scanned}
	start := time.Now()
	judge(t, p, e, nil, "")
	first := time.Since(start)
	start = time.Now()
	for range 10 {
		judge(t, p, e, nil, "")
	}
	require.Less(t, time.Since(start), first)

	later := theCase
	later.Now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	j := p.Judge(context.Background(), later, e)
	require.ErrorIs(t, errors.Join(j.Reasons...), policy.ErrInnerPolicy)
}

// TestPolicyWithoutEnd: what does not end admits nothing, and is not the fault
// of the image.
func TestPolicyWithoutEnd(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	p := one(t, `  authorities: [{static: {action: pass}}]
  policy:
    type: rego
    data: |
      package sigstore
      isCompliant { count(numbers.range(1, 1000000000)) > 0 }
`)
	j := p.Judge(ctx, theCase, evidence{})
	require.False(t, j.Satisfied())
	require.ErrorIs(t, j.Reasons[0], policy.ErrNoResult)
	require.ErrorIs(t, j.Reasons[0], context.DeadlineExceeded)
}
