// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy/cel"
)

var now = time.Date(2026, 5, 6, 7, 8, 0, 0, time.UTC)

const provenance = `{"buildDefinition":{"buildType":"https://plombproject.github.io/build/v1",
"externalParameters":{"source":{"repository":"https://github.com/shop/app","ref":"refs/heads/main"}},
"resolvedDependencies":[{"uri":"pkg:docker/debian@12","digest":{"sha256":"ab"}}]},
"runDetails":{"metadata":{"finishedOn":"2026-05-01T00:00:00Z"}}}`

func values(t testing.TB) cel.Values {
	t.Helper()
	var doc, config any
	require.NoError(t, json.Unmarshal([]byte(provenance), &doc))
	require.NoError(t, json.Unmarshal([]byte(`{"config":{"User":"1000"}}`), &config))
	release := cel.Signature{
		Kind: "signature", Issuer: "https://token.actions.githubusercontent.com", Subject: "https://github.com/shop/app/.github/workflows/release.yml@refs/heads/main",
		Extensions: map[string]string{"sourceRepositoryURI": "https://github.com/shop/app", "runnerEnvironment": "github-hosted"},
		SignedAt:   now.Add(-time.Hour), Logged: true, Serial: "0a",
	}
	return cel.Values{
		cel.VarImage: cel.ImageValue(cel.Image{
			Name: "registry.example/shop/app:v1", Repository: "registry.example/shop/app", Tag: "v1", OS: "linux", Architecture: "amd64",
			Digest: "sha256:aa", Manifest: "sha256:bb", ImageID: "sha256:cc",
		}),
		cel.VarSignature:    cel.SignatureValue(release),
		cel.VarSignatures:   cel.SignaturesValue([]cel.Signature{release, {Kind: "attestation", Key: "sha256:dd"}}),
		cel.VarProvenance:   cel.DocumentValue(doc),
		cel.VarAttestations: cel.AttestationsValue(map[string][]any{"https://cosign.sigstore.dev/attestation/vuln/v1": {map[string]any{"scanner": map[string]any{"uri": "x"}}}}),
		cel.VarConfig:       cel.DocumentValue(config),
		cel.VarSBOM: cel.SBOMValue([]cel.Package{
			{Name: "openssl", Version: "3.0.11-1", PURL: "pkg:deb/debian/openssl@3.0.11-1", Licenses: []string{"Apache-2.0"}, Supplier: "Debian"},
		}),
		cel.VarNow: cel.TimeValue(now),
	}
}

func TestEvaluate(t *testing.T) {
	v := values(t)
	for source, want := range map[string]bool{
		`image.repository == "registry.example/shop/app" && image.tag == "v1"`:                                true,
		`image.platform.os == "linux" && image.platform.variant == ""`:                                        true,
		`image.digest != image.manifest && image.imageID.startsWith("sha256:")`:                               true,
		`signature.issuer == "https://evil.example"`:                                                          false,
		`signature.extensions["sourceRepositoryURI"] == "https://github.com/shop/app"`:                        true,
		`signature.extensions.?x.orValue("") == ""`:                                                           true,
		`has(signature.extensions.sourceRepositoryRef)`:                                                       false,
		`now - signature.signedAt < duration("2h")`:                                                           true,
		`signatures.exists(s, s.kind == "attestation" && s.key == "sha256:dd")`:                               true,
		`signatures.all(s, s.logged)`:                                                                         false,
		`signatures.exists(s, has(s.signedAt) && s.signedAt < now)`:                                           true,
		`provenance.buildDefinition.externalParameters.source.ref == "refs/heads/main"`:                       true,
		`provenance.buildDefinition.resolvedDependencies.all(d, d.digest["sha256"] != "")`:                    true,
		`now - timestamp(provenance.runDetails.metadata.finishedOn) > duration("720h")`:                       false,
		`attestations["https://cosign.sigstore.dev/attestation/vuln/v1"].exists(p, p.scanner.uri == "x")`:     true,
		`"https://example.com/none" in attestations`:                                                          false,
		`config.config.User != "root"`:                                                                        true,
		`sbom.packages.exists(p, p.purl.startsWith("pkg:deb/debian/openssl@") && "Apache-2.0" in p.licenses)`: true,
		`sbom.packages.all(p, p.licenses.all(l, !l.matches("^A?GPL")))`:                                       true,
		`type(image.tag) == string`:                                                                           true,
	} {
		p, err := cel.Compile(source)
		if strings.Contains(source, ".?") {
			require.ErrorIs(t, err, cel.ErrCompile, "optionals are not a part of it")
			continue
		}
		require.NoError(t, err, source)
		got, err := p.Evaluate(t.Context(), v)
		require.NoError(t, err, source)
		require.Equal(t, want, got, source)
	}
}

// What is wrong is found when the policy is loaded, and said with its place.
func TestCompileRefuses(t *testing.T) {
	for source, want := range map[string]string{
		`signature.isuer == "x"`:               "line 1, column 10: undefined field 'isuer'",
		"true &&\n  image.tag == 1":            "line 2, column 13: found no matching overload",
		`imaeg.tag == ""`:                      "line 1, column 1: undeclared reference to 'imaeg'",
		`signature.issuer`:                     "line 1, column 1: it is of type string",
		`image.tag == "`:                       "line 1, column",
		``:                                     "line 1, column",
		`image.tag.matches("(")`:               "line 1, column",
		`duration("1 month") < duration("1h")`: "line 1, column",
		`timestamp("yesterday") < now`:         "line 1, column",
		strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100): "recursion",
		`"` + strings.Repeat("x", cel.MaxSource) + `" == ""`:         "size",
		// Cost bombs.
		`[1,2].all(a, [1,2].all(b, [1,2].all(c, a == b && b == c)))`:                     "nesting",
		`sbom.packages.all(a, sbom.packages.exists(b, a.name == b.name))`:                "it could cost",
		`attestations.all(t, attestations[t].all(p, p.x.matches("(a*)*b" + string(p))))`: "it could cost",
	} {
		_, err := cel.Compile(source)
		require.ErrorIs(t, err, cel.ErrCompile, source)
		require.ErrorContains(t, err, want, source)
	}
	_, err := cel.Compile("image.a == image.b")
	var fault *cel.SyntaxError
	require.ErrorAs(t, err, &fault)
	require.Equal(t, cel.Position{Line: 1, Column: 6}, fault.Position)
	require.ErrorContains(t, err, "line 1, column 17", "all faults are reported")
}

// What is not there is not false, and not true either: the rule fails.
func TestNothingThereIsNoAnswer(t *testing.T) {
	v := values(t)
	v[cel.VarSignature] = cel.SignatureValue(cel.Signature{Key: "sha256:ee"})
	for _, source := range []string{
		`signature.signedAt < timestamp("2026-01-01T00:00:00Z")`,
		`signature.signedAt > timestamp("2026-01-01T00:00:00Z")`,
		`!(now - signature.signedAt > duration("1h"))`,
		`signature.extensions["sourceRepositoryURI"] != "https://evil.example"`,
		`provenance.buildDefinition.externalParameters.source.branch != "x"`,
		`provenance.runDetails > 1`,
		`Image{name: "x"} == image`,
	} {
		p, err := cel.Compile(source)
		require.NoError(t, err, source)
		got, err := p.Evaluate(t.Context(), v)
		require.ErrorIs(t, err, cel.ErrEvaluate, source)
		require.False(t, got)
	}
	p, err := cel.Compile(`config.x == 1`)
	require.NoError(t, err)
	_, err = p.Evaluate(t.Context(), cel.Values{})
	require.ErrorIs(t, err, cel.ErrEvaluate)
}

// Whoever signs the documents must not be able to make a rule run for ever.
func TestCostBombs(t *testing.T) {
	large := make([]any, 3000)
	for i := range large {
		large[i] = fmt.Sprint(i)
	}
	v := values(t)
	v[cel.VarProvenance] = cel.DocumentValue(map[string]any{"l": large})
	p, err := cel.Compile(`provenance.l.all(a, provenance.l.exists(b, a == b))`)
	require.NoError(t, err)
	got, err := p.Evaluate(t.Context(), v)
	require.ErrorIs(t, err, cel.ErrEvaluate)
	require.ErrorContains(t, err, "cost limit exceeded")
	require.False(t, got)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Evaluate(ctx, v)
	require.ErrorIs(t, err, context.Canceled, "a deadline is not a verdict on the image")
}

func TestMentions(t *testing.T) {
	p, err := cel.Compile(`sbom.packages.size() > 0 && image.tag == "v1"`)
	require.NoError(t, err)
	require.True(t, p.Mentions(cel.VarSBOM))
	require.True(t, p.Mentions(cel.VarImage))
	require.False(t, p.Mentions(cel.VarConfig))
}

// FuzzCompile: whatever compiles evaluates to an answer or an error, in time.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`signature.issuer == "x"`, `provenance.a.b[0].c`, `sbom.packages.all(p, p.name != "x")`, `has(config.config.User)`,
		`now - signature.signedAt < duration("24h")`, `[1,2,3].map(x, x * 2).exists_one(x, x == 4)`, `{"a": 1}.a == 1`, `image.tag.matches("^v[0-9]+$")`,
		"\x00", `"\u00e9" in attestations`, `true ? false : true`, `b"x" == b"\xff"`, `1u + 2u == 3u`, `9223372036854775807 + 1 == 0`,
	} {
		f.Add(seed)
	}
	v := values(f)
	f.Fuzz(func(t *testing.T, source string) {
		p, err := cel.Compile(source)
		if err != nil {
			require.ErrorIs(t, err, cel.ErrCompile)
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		got, err := p.Evaluate(ctx, v)
		if err != nil {
			require.False(t, got)
			require.False(t, errors.Is(err, context.DeadlineExceeded))
		}
	})
}

func BenchmarkRule(b *testing.B) {
	v := values(b)
	p, err := cel.Compile(`signature.issuer == "https://token.actions.githubusercontent.com" &&
		signature.extensions["sourceRepositoryURI"] == "https://github.com/shop/app" &&
		signature.extensions["runnerEnvironment"] == "github-hosted" &&
		provenance.buildDefinition.externalParameters.source.ref == "refs/heads/main" &&
		provenance.buildDefinition.resolvedDependencies.all(d, d.uri.startsWith("pkg:docker/")) &&
		now - signature.signedAt < duration("720h")`)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		ok, err := p.Evaluate(b.Context(), v)
		require.NoError(b, err)
		require.True(b, ok)
	}
}
