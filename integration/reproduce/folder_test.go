// SPDX-License-Identifier: Apache-2.0

//go:build integration

package reproduce

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/verify/reproduce"
)

const application = `
FROM ${BASE} AS build
ARG VERSION
RUN --mount=type=bind,source=src,target=/src cat /src/main.txt > /program && echo "$VERSION" >> /program
FROM ${BASE}
COPY --from=build /program /usr/bin/
COPY src /usr/share/src
COPY --from=docs --chmod=640 / /docs
RUN hostname > /host && touch /etc/made
LABEL kind=test
`

var files = map[string]string{
	"src/main.txt": "main\n", "src/run.sh": "#!/bin/sh\n", "src/odd name, with\nmore": "x",
	"src/skipped.log": "log", ".dockerignore": "*.log\n**/*.log\n!keep\n", "not/asked/for": "x",
}

// What was built from a folder is built from a copy of the folder: with every
// option that goes into the result, and every compression.
func TestIdenticalFromAFolder(t *testing.T) {
	docs := t.TempDir()
	harness.Write(t, docs, "guide.md", "# Guide\n")
	for name, tc := range map[string]struct{ attributes, args []string }{
		"plain":   {},
		"options": {args: []string{"--build-arg", "SOURCE_DATE_EPOCH=1790000000", "--build-arg", "PLOMB_LAYERS=squash", "--build-arg", "PLOMB_SCRUB=off", "--label", "team=a=b, c", "--shm-size", "32m", "--add-host", "db:10.0.0.1", "--ulimit", "nofile=100:200", "--target", ""}},
		"zstd":    {attributes: []string{"compression=zstd"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := sources(t, application, files)
			require.NoError(t, os.Symlink("main.txt", filepath.Join(dir, "src", "link")))
			require.NoError(t, os.Chmod(filepath.Join(dir, "src", "run.sh"), 0o755))
			ref := exported(t, tc.attributes, dir, append([]string{"--build-arg", "VERSION=1.2", "--build-context", "docs=" + docs}, tc.args...)...)

			// What the build did not ask for may be another.
			harness.Write(t, dir, "not/asked/for", "changed")
			harness.Write(t, dir, "src/skipped.log", "changed")
			keep := filepath.Join(t.TempDir(), "kept")
			o := again(t, []string{"SOURCE_DATE_EPOCH=5"}, "--context", dir, "--build-context", "docs="+docs, "--keep", keep, ref)
			o.identical(t)
			for _, kept := range []string{"report.json", "provenance.json", "rebuilt/index.json"} {
				require.FileExists(t, filepath.Join(keep, kept))
			}
		})
	}
}

// A folder that is not the one of the build is refused, with what is known of
// the difference, before anything is built.
func TestAnotherFolderIsRefused(t *testing.T) {
	docs := t.TempDir()
	harness.Write(t, docs, "guide.md", "# Guide\n")
	dir := sources(t, application, files)
	ref := signed(t, dir, "--build-context", "docs="+docs)
	for name, tc := range map[string]struct {
		change func(dir string)
		says   string
	}{
		"content":          {func(dir string) { harness.Write(t, dir, "src/main.txt", "mian\n") }, `"src/main.txt"`},
		"mode":             {func(dir string) { require.NoError(t, os.Chmod(filepath.Join(dir, "src/main.txt"), 0o600)) }, `"src/main.txt"`},
		"a new file":       {func(dir string) { harness.Write(t, dir, "src/new", "x") }, `changed or new here, in content or mode: "src/new"`},
		"a missing file":   {func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "src/run.sh"))) }, "1 of the recorded entries are not here"},
		"the Dockerfile":   {func(dir string) { harness.Write(t, dir, "Dockerfile", "FROM scratch\n") }, "the Dockerfile of the image had"},
		"no Dockerfile":    {func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "Dockerfile"))) }, "--file"},
		"the ignore file":  {func(dir string) { harness.Write(t, dir, ".dockerignore", "*.log\n") }, "leaves out"},
		"a new ignore one": {func(dir string) { harness.Write(t, dir, "Dockerfile.dockerignore", "src\n") }, "Dockerfile.dockerignore leaves out"},
	} {
		t.Run(name, func(t *testing.T) {
			other := filepath.Join(t.TempDir(), "other")
			require.NoError(t, os.CopyFS(other, os.DirFS(dir)))
			tc.change(other)
			again(t, nil, "--context", other, "--build-context", "docs="+docs, ref).undecided(t, "not the build context of the image", tc.says)
		})
	}
	again(t, nil, "--context", dir, ref).undecided(t, `local context "docs"`, "--build-context docs=DIR")
	harness.Write(t, docs, "guide.md", "# Other\n")
	again(t, nil, "--context", dir, "--build-context", "docs="+docs, ref).undecided(t, `"guide.md"`)
}

// What a build does differently each time is found, with the instruction that
// does it and why.
func TestDifferencesAreExplained(t *testing.T) {
	// The second that "date" prints must be another one in the second build.
	dir := sources(t, "FROM ${BASE}\nRUN echo same > /same\nRUN sleep 1; date > /when; head -c8 /dev/urandom > /rnd\n"+
		"RUN mkdir /d; for i in 1 2 3 4 5 6 7 8 9; do echo line $i $i; done | awk 'BEGIN{srand()} {print rand() \" \" $0}' | sort | cut -d' ' -f2- > /d/order\n"+
		"RUN cat /proc/sys/kernel/random/uuid > /d/uuid; echo x > /d/tmp.$(head -c4 /dev/urandom | od -An -tx1 | tr -d ' ')\n", nil)
	ref := signed(t, dir)
	o := again(t, nil, "--context", dir, ref)
	require.Equal(t, reproduce.Differs, o.report.Verdict, o.log)
	require.Equal(t, 1, o.status)
	require.False(t, o.report.SameImageID)
	causes := map[string]reproduce.Cause{}
	for _, l := range o.report.Layers {
		require.NotEqual(t, 1, l.Index, "the first RUN writes the same each time")
		for _, f := range l.Files {
			causes[f.Path] = f.Cause
			if f.Path == "/rnd" {
				require.Equal(t, "RUN /bin/sh -c sleep 1; date > /when; head -c8 /dev/urandom > /rnd # buildkit", l.Instruction)
				require.Equal(t, []string{"content"}, f.Differs)
			}
			if strings.HasPrefix(f.Path, "/d/tmp.") {
				require.Equal(t, reproduce.Random, f.Cause)
			}
		}
	}
	require.Equal(t, reproduce.Time, causes["/when"])
	require.Equal(t, reproduce.Random, causes["/rnd"])
	require.Equal(t, reproduce.Random, causes["/d/uuid"])
	if c, ok := causes["/d/order"]; ok { // awk's seed has seconds
		require.Equal(t, reproduce.Order, c)
	}

	p := harness.Command{On: on, Name: "plomb", Args: []string{"reproduce", "--context", dir, ref}}.Run(t)
	require.Error(t, p.Err)
	for _, says := range []string{"differs: ", "RUN /bin/sh -c sleep 1; date", "/when (content)", "[date]", "[random-bytes]"} {
		require.Contains(t, p.All, says)
	}
}

// A base image whose tag has moved on, and a download that is pinned by what
// the builder got, make no difference; a download that changed is no success.
func TestWhatHasANameIsPinned(t *testing.T) {
	var body atomic.Value
	body.Store("one\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body.Load().(string))) }))
	defer server.Close()

	repo, tag := dissect.Registry(t, strings.Split(base, "@")[0])
	was, err := repo.Manifest(t.Context(), tag)
	require.NoError(t, err)
	_, err = repo.PutManifest(t.Context(), "moving", was)
	require.NoError(t, err)
	dir := sources(t, "FROM "+repo.Ref("moving")+"\nADD "+server.URL+"/file /file\n", nil)
	ref := signed(t, dir)

	harness.Write(t, dir, "unused", "x")
	other := sources(t, "FROM ${BASE}\nRUN echo other > /etc/other\n", nil)
	harness.Command{On: on, Args: append(harness.Push(repo.Ref("moving")), "--provenance=false", "--build-arg", "PLOMB_SIGN=off", other)}.Must(t)
	again(t, nil, "--context", dir, ref).identical(t)

	// A builder that has the download by its checksum needs no other.
	body.Store("two\n")
	again(t, nil, "--context", dir, ref).identical(t)
	harness.Command{On: on, Name: "buildctl", Args: []string{"prune", "--all"}}.Must(t)
	o := again(t, nil, "--context", dir, ref)
	require.Equal(t, 2, o.status, o.log)
	require.Contains(t, o.report.Reason, "could not be built again")
	require.Contains(t, o.log, "digest mismatch")
}

// One platform of an image for two is built again on its own, the foreign one
// too: it is sealed where it is built.
func TestOnePlatformOfTwo(t *testing.T) {
	dir := sources(t, "FROM --platform=$BUILDPLATFORM ${BASE} AS b\nARG TARGETARCH\nRUN echo $TARGETARCH > /arch\nFROM scratch\nCOPY --from=b /arch /\nCOPY src /src\n", files)
	ref := signed(t, dir, "--platform", "linux/amd64,linux/arm64")
	o := again(t, nil, "--context", dir, "--platform", "linux/arm64", ref)
	o.identical(t)
	require.Equal(t, "linux/arm64", o.report.Platform)
}
