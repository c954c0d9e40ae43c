// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/claim"
)

func TestMaterialsComplete(t *testing.T) {
	const fields = "  materials: {complete: true}\n"
	with := func(change func(*slsa.Provenance)) []claim.Claim { return []claim.Claim{provenanceClaim(change)} }
	runAll(t, []trial{
		{name: "complete", fields: fields, claims: with(nil)},
		{name: "with a gap", fields: fields, claims: with(func(p *slsa.Provenance) {
			p.BuildDefinition.InternalParameters.Completeness = &slsa.Completeness{Gaps: []slsa.Gap{{Kind: slsa.GapNetwork, Name: "sandbox"}}}
		}), want: ErrIncomplete, says: "network sandbox, 1 gaps"},
		{name: "complete and with a gap", fields: fields, claims: with(func(p *slsa.Provenance) {
			p.BuildDefinition.InternalParameters.Completeness = &slsa.Completeness{Complete: true, Gaps: []slsa.Gap{{Kind: slsa.GapSecret, Name: "npm"}}}
		}), want: ErrIncomplete},
		{name: "not said", fields: fields, claims: with(func(p *slsa.Provenance) { p.BuildDefinition.InternalParameters.Completeness = nil }), want: ErrIncomplete},
		{name: "a material without digest", fields: fields, claims: with(func(p *slsa.Provenance) {
			p.BuildDefinition.ResolvedDependencies = append(p.BuildDefinition.ResolvedDependencies, slsa.ResourceDescriptor{URI: "https://example.com/latest.tgz"})
		}), want: ErrIncomplete, says: "latest.tgz has no digest"},
		{name: "claimed by another build type", fields: fields, claims: with(func(p *slsa.Provenance) { p.BuildDefinition.BuildType = "https://example.com/build" }), want: ErrIncomplete},
		{name: "nothing but a signature", fields: fields, claims: []claim.Claim{signed(nil)}, want: ErrNoProvenance},
	})
}

func TestMaterialsDeny(t *testing.T) {
	deny := func(s string) string { return "  materials: {deny: [{" + s + ", reason: abandoned}]}\n" }
	built := []claim.Claim{provenanceClaim(nil)}
	runAll(t, []trial{
		{name: "by name", fields: deny("uri: 'pkg:docker/debian@**'"), claims: built, want: ErrMaterial, says: "pkg:docker/debian@12?platform=linux%2Famd64 (abandoned)"},
		{name: "a question mark is itself", fields: deny("uri: 'pkg:docker/debian@12?platform=linux%2Famd64'"), claims: built, want: ErrMaterial},
		{name: "one star stops at a slash", fields: deny("uri: 'git:*'"), claims: built},
		{name: "the whole URI", fields: deny("uri: 'pkg:docker/debian'"), claims: built},
		{name: "by digest", fields: deny("digest: 'sha256:" + strings.Repeat("a", 64) + "'"), claims: built, want: ErrMaterial},
		{name: "by commit", fields: deny("digest: 'gitCommit:" + strings.Repeat("b", 40) + "'"), claims: built, want: ErrMaterial},
		{name: "digest of another algorithm", fields: deny("digest: 'sha512:" + strings.Repeat("a", 64) + "'"), claims: built},
		{name: "frontend", fields: deny("uri: 'pkg:docker/example.com/plomb-frontend@**'"), claims: built, want: ErrMaterial},
		{name: "in the second provenance", fields: deny("uri: 'https://evil.example/**'"), claims: append(built, provenanceClaim(func(p *slsa.Provenance) {
			p.BuildDefinition.ResolvedDependencies = []slsa.ResourceDescriptor{{URI: "https://evil.example/a/b"}}
		})), want: ErrMaterial},
	})
}

func TestBaseImages(t *testing.T) {
	const fields = "  materials: {baseImages: {policy: base}}\n"
	debian := "base docker.io/library/debian:12@sha256:" + strings.Repeat("a", 64)
	from := func(buildType string, uris ...string) []claim.Claim {
		return []claim.Claim{provenanceClaim(func(p *slsa.Provenance) {
			if buildType != "" {
				p.BuildDefinition.BuildType = buildType
			}
			p.BuildDefinition.ResolvedDependencies = nil
			for _, uri := range uris {
				p.BuildDefinition.ResolvedDependencies = append(p.BuildDefinition.ResolvedDependencies,
					slsa.ResourceDescriptor{URI: uri, Digest: map[string]string{"sha256": strings.Repeat("a", 64)}})
			}
		})}
	}
	good := map[string]error{
		debian: nil, "base registry.example:5000/team/base:v1@sha256:" + strings.Repeat("a", 64): nil,
		"base registry.example/x@sha256:" + strings.Repeat("a", 64): nil,
	}
	const other = "https://example.com/build"
	runAll(t, []trial{
		{name: "admitted", fields: fields, claims: []claim.Claim{provenanceClaim(nil)}, known: known{materials: good}},
		{name: "refused", fields: fields, claims: []claim.Claim{provenanceClaim(nil)}, known: known{materials: map[string]error{debian: ErrIdentity}}, want: ErrBaseImage, says: "docker.io/library/debian:12@sha256:aaa"},
		{name: "one of two refused", fields: fields, claims: from("", "pkg:docker/debian@12", "pkg:docker/evil@1"), known: known{materials: good}, want: ErrBaseImage, says: "evil"},
		{name: "with port and folder", fields: fields, claims: from("", "pkg:docker/registry.example%3A5000/team/base@v1?platform=linux%2Famd64"), known: known{materials: good}},
		{name: "without tag", fields: fields, claims: from("", "pkg:docker/registry.example/x?digest=sha256:aa"), known: known{materials: good}},
		{name: "from scratch", fields: fields, claims: from("", "local://context"), known: known{materials: good}},
		{name: "not pinned", fields: fields, claims: []claim.Claim{provenanceClaim(func(p *slsa.Provenance) { p.BuildDefinition.ResolvedDependencies[0].Digest = nil })}, known: known{materials: good}, want: ErrIncomplete},
		{name: "without a name", fields: fields, claims: from("", "oci-layout://x@sha256:aa"), known: known{materials: good}, want: ErrBaseImage},
		{name: "of another build type", fields: fields, claims: from(other, "pkg:docker/debian@12"), known: known{materials: good}},
		{name: "as BuildKit names it", fields: fields, claims: from(other, "docker-image://docker.io/library/debian:12"), known: known{materials: good}},
		{name: "of a build type that lists none", fields: fields, claims: from(other, "git+https://github.com/shop/app"), known: known{materials: good}, want: ErrIncomplete, says: "may leave them out"},
		// Only plomb's own frontend is no base image.
		{name: "another's frontend", fields: fields, claims: []claim.Claim{provenanceClaim(func(p *slsa.Provenance) { p.BuildDefinition.BuildType = other })}, known: known{materials: good}, want: ErrBaseImage},
	})
	// A registry that gives no answer says nothing about the image.
	p := loadPolicy(t, fields)
	j := p.Judge(t.Context(), shop(), &known{claims: []claim.Claim{provenanceClaim(nil)}, materials: map[string]error{debian: errUnreachable}})
	require.ErrorIs(t, j.Reasons[0], errUnreachable)
}

func TestExceptions(t *testing.T) {
	rule := celRule("image.tag == 'v2'")
	except := func(who, expires string) string {
		return rule + "  exceptions:\n  - {" + who + ", conditions: [r], reason: rollback, ticket: OPS-7, expires: '" + expires + "'}\n"
	}
	const later, over = "2026-05-21T12:00:30Z", "2026-05-20T12:00:30Z"
	ok := []claim.Claim{signed(nil)}
	runAll(t, []trial{
		{name: "by image", fields: except("image: 'registry.example/shop/*:v1'", later), claims: ok, until: day},
		{name: "by index", fields: except("digest: '"+index.String()+"'", later), claims: ok, until: day},
		{name: "by manifest", fields: except("digest: '"+image.String()+"'", later), claims: ok, until: day},
		{name: "by image id", fields: except("digest: '"+config.String()+"'", later), claims: ok, until: day},
		{name: "for another digest", fields: except("digest: 'sha256:"+strings.Repeat("1", 64)+"'", later), claims: ok, want: ErrRule},
		{name: "for another image", fields: except("image: 'registry.example/shop/other**'", later), claims: ok, want: ErrRule},
		{name: "expired", fields: except("image: '**'", over), claims: ok, want: ErrExpired, says: "OPS-7: rollback until 2026-05-20T12:00:30Z"},
		{name: "expired, and still the rule's reason", fields: except("image: '**'", over), claims: ok, want: ErrRule},
		{name: "not needed", fields: strings.Replace(except("image: '**'", later), "v2", "v1", 1), claims: ok},
		{name: "no exception from the signature", fields: except("image: '**'", later), claims: []claim.Claim{signed(func(c *claim.Claim) { c.Signer.Subject = "x" })}, want: ErrIdentity},
		{name: "from one condition and not from another", fields: except("image: '**'", later) + "  lazyLayers: deny\n", claims: ok, change: func(c *Case) { c.Lazy = true }, want: ErrLazy},
	})
	p := loadPolicy(t, except("image: '**'", later))
	j := p.Judge(t.Context(), shop(), &known{claims: ok})
	require.Equal(t, []string{"r: OPS-7: rollback until 2026-05-21T12:00:30Z (p.yaml:19)"}, j.Exceptions)

	var reason *ConditionError
	j = loadPolicy(t, rule).Judge(t.Context(), shop(), &known{claims: ok})
	require.ErrorAs(t, j.Reasons[0], &reason)
	require.Equal(t, "r", reason.Condition)
	require.Equal(t, "ask the release team", reason.Remedy)
}

var errUnreachable = errors.New("registry unreachable")
