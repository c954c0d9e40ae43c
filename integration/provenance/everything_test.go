// SPDX-License-Identifier: Apache-2.0

//go:build integration

package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
	"github.com/plombproject/plomb/provenance/contents"
	"github.com/plombproject/plomb/provenance/slsa"
)

// everything reads from each kind of source. Its lines are counted below.
const everything = `# syntax=${FRONTEND}
FROM ${BASE} AS tools
RUN --network=none echo tools > /tools
FROM ${BASE} AS fetch
RUN --mount=type=cache,id=downloads,target=/cache echo x > /cache/x && echo fetched > /fetched
FROM unreachable.invalid/none AS unused
RUN exit 1
FROM base AS final
COPY --from=tools /tools /tools
COPY --from=fetch /fetched /fetched
COPY --from=${REGISTRY}/pr/copied:v1 /etc/passwd /copied
RUN --network=none --mount=type=bind,from=${REGISTRY}/pr/mounted:v1,target=/m cp /m/etc/group /mounted
ADD ${HTTP}/loose /loose
ADD --checksum=sha256:${PINNED} ${HTTP}/pinned /pinned
ADD ${GIT}#main:sub /added
COPY --from=docs / /docs
COPY --from=layout /file /layout
COPY --from=dep / /dep
COPY --from=page / /page
COPY app /app
RUN --network=none --mount=type=secret,id=npm,env=NPM_TOKEN \
    --mount=type=secret,id=pip test -n "$NPM_TOKEN" && test -s /run/secrets/pip
`

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// tagged gives the base image another name, and returns its digest.
func tagged(t *testing.T, names ...string) string {
	t.Helper()
	ref, digest, _ := strings.Cut(base, "@sha256:")
	from, tag := dissect.Registry(t, ref)
	data, err := from.Manifest(t.Context(), tag)
	require.NoError(t, err)
	require.Equal(t, digest, sum(string(data)))
	for _, name := range names {
		// Its blobs have to be there first.
		dir := harness.Folder(t, map[string]string{"Dockerfile": "FROM " + base + "\n"})
		harness.Command{On: on, Args: append(harness.Push(on.Registry+"/pr/"+name+":v1"), "--provenance=false", dir)}.Must(t)
		_, err = tamper.Repository{Host: on.Registry, Name: "pr/" + name}.PutManifest(t.Context(), "v1", data)
		require.NoError(t, err)
	}
	return digest
}

// layout writes an image into a folder, and returns its digest.
func layout(t *testing.T, dir string) string {
	t.Helper()
	from := harness.Folder(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY file /file\n", "file": "layout\n"})
	harness.Command{On: on, Args: []string{"build", "--provenance=false", "--output", "type=oci,tar=false,dest=" + dir, from}}.Must(t)
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	require.NoError(t, err)
	var index ocispecs.Index
	require.NoError(t, json.Unmarshal(data, &index))
	return index.Manifests[0].Digest.Encoded()
}

// digestOf is that of a folder, by the published specification.
func digestOf(t *testing.T, dir string) string {
	entries, err := contents.Of(t.Context(), contents.Dir(dir))
	require.NoError(t, err)
	s, err := contents.Sum(entries)
	require.NoError(t, err)
	return s.Digest
}

// One build with everything that a build can use: all of it is told, and what
// is not known is named.
func TestEverythingIsTold(t *testing.T) {
	const mounted, written = "m0unted-s3cr3t", "wr1tten-s3cr3t"
	web, added, dep := serve(t), harness.ServeGit(t, map[string]string{"sub/file": "added\n"}), harness.ServeGit(t, map[string]string{"file": "dep\n"})
	digest := tagged(t, "copied", "mounted", "context")
	docs, oci := t.TempDir(), filepath.Join(t.TempDir(), "oci")
	harness.Write(t, docs, "guide.md", "# Guide\n")
	layoutDigest := layout(t, oci)

	dockerfile := strings.NewReplacer("${FRONTEND}", on.Frontend, "${BASE}", base, "${REGISTRY}", on.Registry,
		"${HTTP}", web, "${PINNED}", sum("file /pinned\n"), "${GIT}", added.URL).Replace(everything)
	app := harness.ServeGit(t, map[string]string{"Dockerfile": dockerfile, "app/main": "main\n", "other": "x"})
	harness.Git(t, app.Work, "remote", "add", "origin", "https://user:"+written+"@git.example/team/app.git")

	withUser := func(url string) string { return strings.Replace(url, "http://", "http://user:"+written+"@", 1) }
	ref, log := build(t, "everything", []string{"NPM=" + mounted, "PIP=" + mounted, "BUILDX_GIT_CHECK_DIRTY=1"},
		"--target", "final", "--provenance=mode=min", "--secret", "id=npm,env=NPM", "--secret", "id=pip,env=PIP",
		"--build-context", "base=docker-image://"+on.Registry+"/pr/context:v1", "--build-context", "docs="+docs,
		"--build-context", "layout=oci-layout://"+oci+"@sha256:"+layoutDigest,
		"--build-context", "dep="+withUser(dep.URL)+"#main", "--build-context", "page="+web+"/page",
		"--build-arg", "VERSION=1", "--build-arg", "NPM_TOKEN="+written, "--build-arg", "HTTP_PROXY=http://user:"+written+"@127.0.0.1:1",
		"--label", "team=a", app.Work)

	statement, p := signed(t, ref)
	def := p.BuildDefinition

	// Dependencies: all of them, with their digests, and nothing else.
	commit := func(r harness.Repository) map[string]string {
		return map[string]string{"gitCommit": harness.Git(t, r.Work, "rev-parse", "HEAD")}
	}
	image := func(name string) string {
		return "pkg:docker/" + on.Registry + "/" + name + "?digest=sha256:" + digest + "&platform=linux%2Famd64"
	}
	sha := func(s string) map[string]string { return map[string]string{"sha256": s} }
	baseName, _, _ := strings.Cut(strings.TrimPrefix(base, on.Registry+"/"), "@")
	want := map[string]map[string]string{
		image(strings.Replace(baseName, ":", "@", 1)): sha(digest),
		image("pr/copied@v1"):                         sha(digest),
		image("pr/mounted@v1"):                        sha(digest),
		image("pr/context@v1"):                        sha(digest),
		web + "/loose":                                sha(sum("file /loose\n")),
		web + "/pinned":                               sha(sum("file /pinned\n")),
		web + "/page":                                 sha(sum("file /page\n")),
		strings.Replace(added.URL, "http://", "git://", 1) + "#main:sub": commit(added),
		strings.Replace(dep.URL, "http://", "git://", 1) + "#main":       commit(dep),
		"local://docs": {contents.Algorithm: digestOf(t, docs)},
	}
	got := map[string]map[string]string{}
	for _, d := range def.ResolvedDependencies {
		switch {
		case d.Name == "frontend":
			_, frontend, _ := strings.Cut(on.Frontend, "@sha256:")
			require.Equal(t, sha(frontend), d.Digest)
		case d.URI == "local://context":
			require.Len(t, d.Digest[contents.Algorithm], 64)
			require.Equal(t, map[string]any{"follow": []any{"app"}}, d.Annotations[slsa.AnnotationFilter])
		case strings.HasPrefix(d.URI, "oci-layout://"):
			require.Equal(t, sha(layoutDigest), d.Digest)
		default:
			got[d.URI] = d.Digest
		}
	}
	require.Equal(t, want, got)
	require.Len(t, def.ResolvedDependencies, len(want)+3)

	// Parameters.
	ext := def.ExternalParameters
	require.Equal(t, slsa.Dockerfile{Name: "Dockerfile", SHA256: sum(dockerfile), From: slsa.ContextLocal}, ext.Dockerfile)
	require.Equal(t, "final", ext.Target)
	require.Equal(t, map[string]string{"VERSION": "1"}, ext.Args)
	require.Equal(t, map[string]string{"team": "a"}, ext.Labels)
	require.Equal(t, []string{"npm", "pip"}, ext.Secrets)
	require.Equal(t, &slsa.Source{Repository: "https://git.example/team/app.git", Revision: harness.Git(t, app.Work, "rev-parse", "HEAD"), Context: ".", Dockerfile: "."}, ext.Source)
	require.Equal(t, slsa.ContextLocal, ext.Context.Kind)
	kinds := map[string]string{}
	for name, c := range ext.Contexts {
		kinds[name] = c.Kind
	}
	require.Equal(t, map[string]string{"base": slsa.ContextImage, "docs": slsa.ContextLocal, "layout": slsa.ContextLayout, "dep": slsa.ContextGit, "page": slsa.ContextHTTP}, kinds)
	require.Equal(t, commit(dep), ext.Contexts["dep"].Digest)
	require.Equal(t, []string{"args.HTTP_PROXY", "args.NPM_TOKEN", "contexts.dep", "source.repository"}, ext.Masked)

	in := def.InternalParameters
	require.Equal(t, on.Frontend, in.Frontend.Image)
	require.NotEmpty(t, in.WorkerLabels)
	require.Equal(t, slsa.BuildKit{Product: "buildkit", AtLeast: "v0.31"}, in.BuildKit)
	require.Equal(t, "https://github.com/plombproject/demo/.github/workflows/release.yml@refs/heads/main", p.RunDetails.Builder.ID)

	// What is not known.
	step := func(name string, line int) []slsa.Step {
		return []slsa.Step{{Name: name, File: "Dockerfile", Line: line}}
	}
	require.Equal(t, &slsa.Completeness{Gaps: []slsa.Gap{
		{Kind: slsa.GapCacheMount, Name: "/downloads", Steps: step("[fetch 2/2] RUN", 5)},
		{Kind: slsa.GapNetwork, Name: "sandbox", Steps: step("[fetch 2/2] RUN", 5)},
		{Kind: slsa.GapParameter, Name: "args.HTTP_PROXY"},
		{Kind: slsa.GapParameter, Name: "args.NPM_TOKEN"},
		{Kind: slsa.GapParameter, Name: "contexts.dep"},
		{Kind: slsa.GapParameter, Name: "source.repository"},
		{Kind: slsa.GapSecret, Name: "npm", Steps: step("[final 13/14] RUN", 21)},
		{Kind: slsa.GapSecret, Name: "pip", Steps: step("[final 13/14] RUN", 21)},
	}}, in.Completeness)

	// Secrets.
	for _, secret := range []string{mounted, written} {
		require.NotContains(t, statement, secret)
		requireNowhere(t, ref, secret)
	}
	for _, secret := range []string{mounted, written} {
		require.NotContains(t, log, secret)
	}

	// What shows BuildKit's own provenance goes on doing so.
	shown := harness.Command{On: on, Args: []string{"imagetools", "inspect", ref, "--format", "{{json .Provenance}}"}}.Must(t).Out
	require.Contains(t, shown, "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md")
	require.NotContains(t, shown, mounted)
}
