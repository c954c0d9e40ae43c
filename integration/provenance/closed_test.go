// SPDX-License-Identifier: Apache-2.0

//go:build integration

package provenance

import (
	"crypto/x509"
	"encoding/asn1"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/provenance/slsa"
)

// closed reaches nothing that the build graph does not tell.
func closed() string {
	return "# syntax=" + on.Frontend + "\nFROM " + base + "\nCOPY app /app\nRUN --network=none cat /app/main > /made\n"
}

// Where nothing is open, the provenance says that it is complete. Changes on
// top of a commit are told.
func TestClosedBuildIsComplete(t *testing.T) {
	app := harness.ServeGit(t, map[string]string{"Dockerfile": closed(), "app/main": "main\n"})
	harness.Git(t, app.Work, "remote", "add", "origin", app.URL)
	commit := harness.Git(t, app.Work, "rev-parse", "HEAD")

	ref, _ := build(t, "closed", []string{"BUILDX_GIT_CHECK_DIRTY=1"}, "--provenance=false", app.Work)
	_, p := signed(t, ref)
	require.Equal(t, &slsa.Completeness{Complete: true}, p.BuildDefinition.InternalParameters.Completeness)
	require.Equal(t, &slsa.Source{Repository: app.URL, Revision: commit, Context: ".", Dockerfile: "."}, p.BuildDefinition.ExternalParameters.Source)

	harness.Write(t, app.Work, "app/main", "changed\n")
	dirty, _ := build(t, "dirty", []string{"BUILDX_GIT_CHECK_DIRTY=1"}, "--provenance=false", app.Work)
	_, p = signed(t, dirty)
	require.Equal(t, commit+"-dirty", p.BuildDefinition.ExternalParameters.Source.Revision)

	ref, _ = build(t, "quiet", []string{"BUILDX_GIT_INFO=false"}, "--provenance=false", app.Work)
	_, p = signed(t, ref)
	require.Nil(t, p.BuildDefinition.ExternalParameters.Source)

	// A cache of the client's is one that somebody else could have filled.
	ref, _ = build(t, "imported", nil, "--provenance=false", "--cache-from", "type=registry,ref="+dirty, app.Work)
	_, p = signed(t, ref)
	require.Equal(t, &slsa.Completeness{Gaps: []slsa.Gap{{Kind: slsa.GapCacheImport, Name: "registry " + dirty}}}, p.BuildDefinition.InternalParameters.Completeness)
}

// A repository that BuildKit fetched is a dependency by its commit, also where
// nothing but the Dockerfile came out of it.
func TestGitContext(t *testing.T) {
	for name, dockerfile := range map[string]string{
		"used":   closed(),
		"unused": "# syntax=" + on.Frontend + "\nFROM " + base + "\nRUN --network=none touch /made\n",
	} {
		t.Run(name, func(t *testing.T) {
			app := harness.ServeGit(t, map[string]string{"Dockerfile": dockerfile, "app/main": "main\n"})
			commit := map[string]string{"gitCommit": harness.Git(t, app.Work, "rev-parse", "HEAD")}
			ref, _ := build(t, "git-"+name, nil, "--provenance=false", app.URL+"#main")
			_, p := signed(t, ref)
			require.Equal(t, &slsa.Context{Kind: slsa.ContextGit, URI: app.URL + "#main", Digest: commit}, p.BuildDefinition.ExternalParameters.Context)
			require.Equal(t, slsa.ContextGit, p.BuildDefinition.ExternalParameters.Dockerfile.From)
			require.Equal(t, &slsa.Completeness{Complete: true}, p.BuildDefinition.InternalParameters.Completeness)
			var found []map[string]string
			for _, d := range p.BuildDefinition.ResolvedDependencies {
				if d.Digest["gitCommit"] != "" {
					found = append(found, d.Digest)
				}
			}
			require.Equal(t, []map[string]string{commit}, found)
		})
	}
}

// A frontend that the Dockerfile names by tag is told with its digest, and so
// is a base image, for each platform.
func TestTagsAreToldWithTheirDigest(t *testing.T) {
	frontend, digest, _ := strings.Cut(on.Frontend, "@")
	name, baseDigest, _ := strings.Cut(base, "@")
	dir := harness.Folder(t, map[string]string{"Dockerfile": "# syntax=" + frontend + "\nFROM --platform=$BUILDPLATFORM " + name + " AS build\nARG TARGETARCH\nRUN --network=none echo $TARGETARCH > /arch\n" +
		"RUN echo $TARGETARCH > /open\nFROM scratch\nCOPY --from=build /arch /open /\n"})
	ref, _ := build(t, "tags", nil, "--provenance=false", "--platform", "linux/amd64,linux/arm64", dir)
	_, p := signed(t, ref)
	require.Equal(t, frontend+"@"+digest, p.BuildDefinition.InternalParameters.Frontend.Image)
	require.Equal(t, []string{"linux/amd64", "linux/arm64"}, p.BuildDefinition.ExternalParameters.Platforms)
	var digests []string
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		digests = append(digests, d.Name+" sha256:"+d.Digest["sha256"])
	}
	require.Equal(t, []string{" " + baseDigest, "frontend " + digest}, digests)
	require.Equal(t, []slsa.Gap{{Kind: slsa.GapNetwork, Name: "sandbox", Steps: []slsa.Step{
		{Name: "[linux/amd64 build 3/3] RUN", File: "Dockerfile", Line: 5},
		{Name: "[linux/amd64->arm64 build 3/3] RUN", File: "Dockerfile", Line: 5},
	}}}, p.BuildDefinition.InternalParameters.Completeness.Gaps)
}

// buildSigner is Fulcio's extension for who vouches for a build.
var buildSigner = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 9}

// The builder in the predicate is the one in the certificate.
func TestBuilderIsTheCertificates(t *testing.T) {
	dir := harness.Folder(t, map[string]string{"Dockerfile": "# syntax=" + on.Frontend + "\nFROM " + base + "\nRUN --network=none touch /made\n"})
	ref, _ := build(t, "builder", nil, "--provenance=false", dir)
	_, p := signed(t, ref)
	cert, err := x509.ParseCertificate(dissect.Pull(t, ref).Bundle.Certificate)
	require.NoError(t, err)
	for _, e := range cert.Extensions {
		if e.Id.Equal(buildSigner) {
			var uri string
			_, err := asn1.Unmarshal(e.Value, &uri)
			require.NoError(t, err)
			require.Equal(t, uri, p.RunDetails.Builder.ID)
			return
		}
	}
	t.Fatal("the certificate has no build signer URI")
}
