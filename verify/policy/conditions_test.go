// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/claim"
)

var (
	today  = time.Date(2026, 5, 20, 12, 0, 30, 0, time.UTC)
	index  = digest.FromString("index")
	image  = digest.FromString("manifest")
	config = digest.FromString("config")
)

const day = 24 * time.Hour

func shop() Case {
	return Case{
		Name: "registry.example/shop/app:v1", Digest: index, Indexes: []digest.Digest{index}, Manifest: image, ImageID: config,
		Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, Now: today,
	}
}

// known is evidence out of the test's head.
type known struct {
	claims     []claim.Claim
	config     string
	byproducts map[string]string
	materials  map[string]error
	asked      []string
	err        error
}

func (k *known) Claims(Trust) []claim.Claim { return k.claims }

func (k *known) Config(context.Context) ([]byte, error) {
	k.asked = append(k.asked, "config")
	return []byte(k.config), k.err
}

func (k *known) Byproducts(_ context.Context, _ claim.Claim, predicateType string) ([][]byte, error) {
	k.asked = append(k.asked, predicateType)
	if k.err != nil {
		return nil, k.err
	}
	if data, ok := k.byproducts[predicateType]; ok {
		return [][]byte{[]byte(data)}, nil
	}
	return nil, fmt.Errorf("%w: the provenance names another", ErrByproduct)
}

func (k *known) Material(_ context.Context, name string, dgst digest.Digest, policy string) error {
	key := policy + " " + name + "@" + dgst.String()
	k.asked = append(k.asked, key)
	err, ok := k.materials[key]
	if !ok {
		return fmt.Errorf("%w: not in the test", ErrNoMatch)
	}
	return err
}

const (
	githubIssuer = "https://token.actions.githubusercontent.com"
	release      = "https://github.com/shop/app/.github/workflows/release.yml@refs/heads/main"
)

// provenanceClaim is a claim of provenance, a day old.
func provenanceClaim(change func(*slsa.Provenance)) claim.Claim {
	finished := today.Add(-day)
	p := slsa.Provenance{
		BuildDefinition: slsa.BuildDefinition{
			BuildType:          slsa.BuildType,
			InternalParameters: slsa.InternalParameters{Completeness: &slsa.Completeness{Complete: true}},
			ResolvedDependencies: []slsa.ResourceDescriptor{
				{URI: "pkg:docker/debian@12?platform=linux%2Famd64", Digest: map[string]string{"sha256": strings.Repeat("a", 64)}},
				{URI: "git://github.com/shop/app", Digest: map[string]string{"gitCommit": strings.Repeat("b", 40)}},
				{URI: "pkg:docker/example.com/plomb-frontend@v1", Name: "frontend", Digest: map[string]string{"sha256": strings.Repeat("f", 64)}},
			},
		},
		RunDetails: slsa.RunDetails{
			Metadata: slsa.Metadata{FinishedOn: &finished},
			Byproducts: []slsa.ResourceDescriptor{{
				Name: slsa.ByproductSBOM, Annotations: map[string]any{slsa.AnnotationPredicateType: provenance.PredicateSPDX, slsa.AnnotationPlatform: "linux/amd64"},
			}},
		},
	}
	if change != nil {
		change(&p)
	}
	data, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return stated(provenance.PredicateSLSA1, string(data))
}

// stated is a claim of the release workflow.
func stated(predicateType, predicate string) claim.Claim {
	c := claim.Claim{
		Kind: claim.Attestation, Format: claim.Bundle, Scope: claim.ImageID, Subject: config, PredicateType: predicateType, Predicate: []byte(predicate),
		Names:    []string{"registry.example/shop/app"},
		Signer:   claim.Signer{Issuer: githubIssuer, Subject: release, Serial: "0a1b", Extensions: map[string]string{"runnerEnvironment": "github-hosted"}},
		SignedAt: today.Add(-day), Logged: true,
	}
	if predicateType == provenance.PredicateSLSA1 {
		c.Kind = claim.Signature
	}
	return c
}

func signed(change func(*claim.Claim)) claim.Claim {
	c := stated("https://sigstore.dev/cosign/sign/v1", "{}")
	c.Kind = claim.Signature
	if change != nil {
		change(&c)
	}
	return c
}

// imagePolicy is a document that welcomes the release workflow, and fields.
func imagePolicy(fields string) string {
	return `apiVersion: plombproject.github.io/v1
kind: ImagePolicy
metadata:
  name: shop
spec:
  images:
  - glob: "**"
  authorities:
  - keyless:
      identities:
      - issuer: ` + githubIssuer + `
        subject: ` + release + `
` + fields
}

func loadPolicy(t testing.TB, fields string) *Policy {
	t.Helper()
	policies, err := Parse("p.yaml", []byte(imagePolicy(fields)))
	require.NoError(t, err)
	require.Len(t, policies, 1)
	return &policies[0]
}

// A trial is one image under the fields of a policy.
type trial struct {
	name   string
	fields string
	claims []claim.Claim
	known  known
	change func(*Case)
	// want is the reason, nil if the image passes; says is a part of it.
	want error
	says string
	// until is how long after today the judgement holds, 0 for ever.
	until time.Duration
}

func (c *trial) run(t *testing.T) {
	t.Helper()
	p := loadPolicy(t, c.fields)
	subject := shop()
	if c.change != nil {
		c.change(&subject)
	}
	c.known.claims = shortLived(c.claims)
	j := p.Judge(t.Context(), subject, &c.known)
	if c.want == nil {
		require.Empty(t, j.Reasons)
		require.True(t, j.Satisfied())
		var want time.Time
		if c.until != 0 {
			want = today.Add(c.until)
		}
		require.Equal(t, want, j.ChangesAt)
		return
	}
	require.False(t, j.Satisfied())
	require.NotEmpty(t, j.Reasons)
	require.ErrorIs(t, j.Reasons[0], c.want)
	require.ErrorContains(t, j.Reasons[0], c.says)
	if reason := new(ConditionError); errors.As(j.Reasons[0], &reason) {
		require.Regexp(t, `p\.yaml:\d+`, reason.Error())
		require.NotEmpty(t, reason.Condition)
		require.NotEmpty(t, reason.Remedy)
	}
	require.NotContains(t, j.Reasons[0].Error(), "\n")
}

// shortLived are the claims with certificates of a minute, where a trial says
// nothing else.
func shortLived(claims []claim.Claim) []claim.Claim {
	out := slices.Clone(claims)
	for i := range out {
		if c := &out[i]; c.SignedAfter.IsZero() && !c.SignedAt.IsZero() && c.Signer.Key == "" {
			c.SignedAfter = c.SignedAt.Add(-time.Minute)
		}
	}
	return out
}

func runAll(t *testing.T, trials []trial) {
	for _, c := range trials {
		t.Run(c.name, c.run)
	}
}

func TestLoadRefuses(t *testing.T) {
	const rule = "\n  rules:\n  - name: r\n    cel: 'true'\n"
	for fields, want := range map[string]string{
		"  freshness: {build: 30 days}\n":                                                             `build "30 days": want a duration`,
		"  freshness: {build: 0s}\n":                                                                  "an age must be more than nothing",
		"  freshness: {build: -1h}\n":                                                                 "an age must be more than nothing",
		"  freshness: {build: 1.5d}\n":                                                                "want a number of days",
		"  freshness: {scan: 200000d}\n":                                                              "want a number of days",
		"  freshness: {}\n":                                                                           "freshness limits nothing",
		"  signedIdentity: {type: matchExact, prefix: a}\n":                                           "signedIdentity.prefix",
		"  signedIdentity: {type: exactReference}\n":                                                  "signedIdentity.dockerReference",
		"  signedIdentity: {type: exactReference, dockerReference: a/b}\n":                            "use exactRepository",
		"  signedIdentity: {type: exactRepository, dockerRepository: 'a/b:c'}\n":                      "use exactReference",
		"  signedIdentity: {type: exactRepository, dockerRepository: 'A B'}\n":                        "invalid reference format",
		"  signedIdentity: {type: remapIdentity, prefix: mirror.example/, signedPrefix: a.example}\n": "prefix \"mirror.example/\"",
		"  signedIdentity: {type: remapIdentity, prefix: library, signedPrefix: a.example}\n":         "prefix \"library\"",
		"  byproducts: [{predicateType: sbom}]\n":                                                     "neither a URI nor a short name",
		"  packages: {deny: [{purl: log4j}]}\n":                                                       "purl \"log4j\"",
		"  packages: {deny: [{purl: 'pkg:npm/a@1'}]}\n":                                               "has a version",
		"  packages: {deny: [{purl: 'pkg:npm/a', versions: '<1.x'}]}\n":                               "versions of pkg:npm/a",
		"  packages: {deny: [{purl: 'pkg:conan/a', versions: '<1.0'}]}\n":                             "versions cannot be compared",
		"  materials: {}\n":                                                                           "materials demands nothing",
		"  materials: {deny: [{reason: x}]}\n":                                                        "needs a uri or a digest",
		"  materials: {deny: [{digest: 'sha256:xyz'}]}\n":                                             `digest "sha256:xyz"`,
		"  deny: {}\n": "deny lists nothing",
		"  deny: {digests: [{digest: 'sha256:ab'}]}\n":                                                                                `digest "sha256:ab"`,
		"  deny: {keys: [{key: ab}]}\n":                                                                                               `key "sha256:ab"`,
		"  deny: {serials: [{serial: xyz}]}\n":                                                                                        `serial "xyz"`,
		"  deny: {identities: [{from: '2026-01-01T00:00:00Z'}]}\n":                                                                    "would deny everybody",
		"  deny: {identities: [{subjectRegExp: '('}]}\n":                                                                              "subjectRegExp",
		"  deny: {identities: [{subject: a, from: yesterday}]}\n":                                                                     `from "yesterday"`,
		"  deny: {identities: [{subject: a, from: '2026-02-01T00:00:00Z', until: '2026-01-01T00:00:00Z'}]}\n":                         "is not before",
		"  rules: [{name: r}]\n":                                                                                                      "exactly one of cel and rego",
		"  rules: [{name: r, cel: 'true', rego: 'package plomb'}]\n":                                                                  "exactly one of cel and rego",
		"  rules: [{name: r, cel: 'signature.isuer == \"\"'}]\n":                                                                      "p.yaml:13: rule r: CEL expression: line 1 of the rule, column 10: undefined field 'isuer'",
		"  rules: [{name: r, rego: \"package plomb\\nallow if\"}]\n":                                                                  "p.yaml:13: rule r: invalid Rego: line 2 of the rule, column ",
		"  rules:\n  - name: r\n    cel: |\n      true &&\n      signature.isuer == \"\"\n":                                           "p.yaml:17: rule r: CEL expression: column 16: undefined field 'isuer'",
		"  rules:\n  - name: r\n    rego: |\n      package plomb\n      allow if htp.send({})\n":                                      "p.yaml:17: rule r: invalid Rego: column 16: undefined function htp.send",
		"  rules:\n  - name: r\n    rego: |\n\n      package plom\n":                                                                  "p.yaml:17: rule r: invalid Rego: package plom, want plomb",
		"  rules: [{name: 'a b', cel: 'true'}]\n":                                                                                     `rule name "a b"`,
		"  rules: [{name: packages, cel: 'true'}]\n":                                                                                  "that is another condition",
		"  rules: [{name: r, cel: 'true'}, {name: r, cel: 'true'}]\n":                                                                 "a second rule r",
		rule + "  exceptions: [{digest: '" + index.String() + "', conditions: [x], reason: a, expires: '2026-06-01T00:00:00Z'}]\n":    `exception from "x"`,
		rule + "  exceptions: [{digest: '" + index.String() + "', conditions: [deny], reason: a, expires: '2026-06-01T00:00:00Z'}]\n": "no exceptions from deny",
		rule + "  exceptions: [{conditions: [r], reason: a, expires: '2026-06-01T00:00:00Z'}]\n":                                      "exactly one of digest and image",
		rule + "  exceptions: [{image: '?', conditions: [r], reason: a, expires: '2026-06-01T00:00:00Z'}]\n":                          "p.yaml:17: image: glob \"?\": only letters",
		rule + "  exceptions: [{image: '**', conditions: [r], reason: a, expires: soon}]\n":                                           `expires "soon"`,
		rule + "  exceptions: [{image: '**', conditions: [r], reason: '', expires: '2026-06-01T00:00:00Z'}]\n":                        "reason",
	} {
		_, err := Parse("p.yaml", []byte(imagePolicy(fields)))
		require.ErrorIs(t, err, ErrInvalid, fields)
		require.ErrorContains(t, err, want, fields)
		require.Regexp(t, `p\.yaml:\d+`, err.Error())
	}
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// Conditions hold for static policies as well: what they need is not there.
func TestConditionsOfAStaticPolicy(t *testing.T) {
	policies, err := Parse("p.yaml", []byte(`{"apiVersion":"plombproject.github.io/v1","kind":"ImagePolicy","metadata":{"name":"s"},"spec":{
		"images":[{"glob":"**"}],"authorities":[{"static":{"action":"pass"}}],"deny":{"digests":[{"digest":"`+config.String()+`"}]}}}`))
	require.NoError(t, err)
	p := policies[0]
	require.True(t, p.NeedsEvidence())
	require.ErrorIs(t, p.Judge(t.Context(), shop(), nil).Reasons[0], ErrDenied)
	other := shop()
	other.ImageID = digest.FromString("other")
	require.True(t, p.Judge(t.Context(), other, &known{}).Satisfied())
}
