// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sbom

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// distribution installs, upgrades and removes packages of Debian, each in a
// step of its own.
const distribution = `FROM ${DEBIAN} AS made
RUN mkdir -p /d/DEBIAN && \
    printf 'Package: hello\nVersion: 99.0\nArchitecture: all\nMaintainer: A <a@example.com>\nDescription: newer\n' > /d/DEBIAN/control && \
    dpkg-deb --build /d /newer.deb

FROM ${DEBIAN} AS app
RUN apt-get update && \
    # A comment between the lines.
    apt-get install -y tini hello signify-openbsd && \
    rm -rf /var/lib/apt/lists/*
RUN --mount=from=made,source=/newer.deb,target=/newer.deb dpkg -i /newer.deb
RUN dpkg --purge tini
RUN rm -rf /usr/share/doc

FROM app AS bare
RUN rm -rf /var/lib/dpkg
`

func TestDistribution(t *testing.T) {
	dir := folder(t, distribution, nil)
	app := build{dir: dir, tag: "app", args: []string{"--target", "app"}}.push(t)
	doc := app.sbom(t)
	const install = "RUN apt-get update && apt-get install -y tini hello signify-openbsd && rm -rf /var/lib/apt/lists/*"

	signify := doc.find(t, "signify-openbsd")
	require.Equal(t, install, signify.Origin.Instruction)
	require.Equal(t, 8, signify.Origin.Line)
	require.Equal(t, app.layers[1].String(), signify.Origin.DiffID)
	require.True(t, signify.Top, "it was asked for by name")
	libbsd := doc.find(t, "libbsd0")
	require.Equal(t, install, libbsd.Origin.Instruction)
	require.False(t, libbsd.Top, "it was pulled in")
	require.NotEmpty(t, libbsd.License, "as it was before /usr/share/doc went")
	require.True(t, doc.find(t, "bash").Origin.Base)
	require.NotEmpty(t, doc.find(t, "bash").License)

	hello := doc.find(t, "hello")
	require.Equal(t, "99.0", hello.Version)
	require.Equal(t, "RUN --mount=from=made,source=/newer.deb,target=/newer.deb dpkg -i /newer.deb", hello.Origin.Instruction)
	require.Equal(t, app.layers[2].String(), hello.Origin.DiffID)
	require.NotContains(t, doc.names(), "tini")
	require.Empty(t, doc.unread())

	t.Run("squash", func(t *testing.T) {
		squashed := build{dir: dir, args: []string{"--target", "app", "--build-arg", "PLOMB_LAYERS=squash"}}.push(t)
		require.Len(t, squashed.layers, 2)
		doc := squashed.sbom(t)
		require.Equal(t, app.sbom(t).list(), doc.list())
		for _, item := range doc.inventory.Items {
			if !item.Origin.Base {
				require.Equal(t, squashed.layers[1].String(), item.Origin.DiffID, item.Name)
			}
		}
	})
	t.Run("without the database", func(t *testing.T) {
		bare := build{dir: dir, args: []string{"--target", "bare"}}.push(t)
		doc := bare.sbom(t)
		require.Empty(t, doc.list())
		require.Equal(t, "debian", doc.inventory.System.ID)
		require.Contains(t, doc.unread(), "/etc/os-release", "its packages are still there")
		require.Contains(t, plomb(t, 0, "sbom", "check", "--allow-unsigned", bare.ref).out, "incomplete")
	})
}

// program compiles a Go program that has a dependency.
func program(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                            "module example.com/greeter\n\ngo 1.24\n\nrequire example.com/words v1.2.3\n",
		"main.go":                           "package main\n\nimport \"example.com/words\"\n\nfunc main() { println(words.Hello) }\n",
		"vendor/modules.txt":                "# example.com/words v1.2.3\n## explicit; go 1.24\nexample.com/words\n",
		"vendor/example.com/words/words.go": "package words\n\nconst Hello = \"hello\"\n",
	} {
		write(t, dir, name, text)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-mod=vendor", "-buildvcs=false", "-ldflags=-s -w", "-o", "greeter", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	data, err := os.ReadFile(filepath.Join(dir, "greeter"))
	require.NoError(t, err)
	return string(data)
}

func archive(t *testing.T, files map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, text := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}))
		_, err := w.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.String()
}

func npm(name string) string { return `{"name": "` + name + `", "version": "1.0.0", "license": "MIT"}` }

// instructions brings a package by each instruction that can bring one.
const instructions = `FROM ${BUSYBOX} AS made
COPY greeter /out/greeter
COPY modules /out/app/node_modules
RUN mkdir -p /out/app/node_modules/unused && echo '{"name":"unused","version":"1.0.0"}' > /out/app/node_modules/unused/package.json

FROM ${BUSYBOX}
COPY --from=made /out/greeter /usr/bin/
COPY --from=made \
     /out/app/node_modules/copied \
     /app/node_modules/copied/
COPY --link modules/linked /linked/node_modules/linked
ADD added.tar /added/
RUN <<EOT
  set -e
  mkdir -p /heredoc/node_modules/heredoc
  echo '{"name":"heredoc","version":"1.0.0"}' > /heredoc/node_modules/heredoc/package.json
EOT
COPY <<EOT /file/node_modules/file/package.json
{"name":"file","version":"1.0.0"}
EOT
RUN mkdir -p /gone/node_modules/gone && echo '{"name":"gone","version":"1.0.0"}' > /gone/node_modules/gone/package.json
RUN rm -r /gone
RUN mv /linked /moved
COPY --link modules/apart /apart/node_modules/apart
`

func TestInstructions(t *testing.T) {
	img := build{dockerfile: instructions, files: map[string]string{
		"greeter":                     program(t),
		"modules/copied/package.json": npm("copied"),
		"modules/linked/package.json": npm("linked"),
		"modules/apart/package.json":  npm("apart"),
		"added.tar":                   archive(t, map[string]string{"node_modules/added/package.json": npm("added")}),
	}}.push(t)
	doc := img.sbom(t)
	goVersion := doc.find(t, "stdlib").Version
	require.Equal(t, []string{
		"golang example.com/greeter  8: COPY --from=made /out/greeter /usr/bin/",
		"golang example.com/words v1.2.3 8: COPY --from=made /out/greeter /usr/bin/",
		"golang stdlib " + goVersion + " 8: COPY --from=made /out/greeter /usr/bin/",
		"npm added 1.0.0 13: ADD added.tar /added/",
		"npm apart 1.0.0 25: COPY --link modules/apart /apart/node_modules/apart",
		"npm copied 1.0.0 9: COPY --from=made /out/app/node_modules/copied /app/node_modules/copied/",
		"npm file 1.0.0 19: COPY <<EOT /file/node_modules/file/package.json {\"name\":\"file\",\"version\":\"1.0.0\"} EOT",
		"npm heredoc 1.0.0 14: RUN <<EOT set -e mkdir -p /heredoc/node_modules/heredoc echo '{\"name\":\"heredoc\",\"version\":\"1.0.0\"}' > /heredoc/node_modules/heredoc/package.json EOT",
		"npm linked 1.0.0 24: RUN mv /linked /moved",
	}, doc.list())
	require.Empty(t, doc.unread())
	require.Equal(t, []string{"/moved/node_modules/linked/package.json"}, doc.find(t, "linked").Paths)
	require.Equal(t, img.layers[2].String(), doc.find(t, "copied").Origin.DiffID)
}

// A base that is a folder of the client's is a layer of the image. BuildKit does
// not say which line asked for it.
func TestNamedContexts(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "folder/node_modules/folder/package.json", npm("folder"))
	doc := build{
		dockerfile: "FROM base\nCOPY <<EOT /node_modules/file/package.json\n{\"name\":\"file\",\"version\":\"1.0.0\"}\nEOT\n",
		args:       []string{"--build-context", "base=" + filepath.Join(dir, "folder")},
	}.push(t).sbom(t)
	require.Equal(t, []string{
		"npm file 1.0.0 3: COPY <<EOT /node_modules/file/package.json {\"name\":\"file\",\"version\":\"1.0.0\"} EOT",
		"npm folder 1.0.0 0: FROM a build context",
	}, doc.list())
}

// A program alone, on nothing.
func TestScratch(t *testing.T) {
	doc := build{dockerfile: "FROM scratch\nCOPY greeter /\n", files: map[string]string{"greeter": program(t)}}.push(t).sbom(t)
	require.Equal(t, []string{"example.com/greeter", "example.com/words", "stdlib"}, doc.names())
	require.Nil(t, doc.image.Base)
	require.Nil(t, doc.inventory.System)
	empty := build{dockerfile: "FROM scratch\nCOPY Dockerfile /\n", tag: "empty"}.push(t).sbom(t)
	require.Empty(t, empty.list())
	require.Contains(t, string(empty.raw), "NONE")
}

// What the base's ONBUILD triggers do is in no line of the Dockerfile but FROM.
func TestOnbuild(t *testing.T) {
	base := build{dockerfile: "FROM ${BUSYBOX}\nONBUILD COPY modules /app/node_modules\n", tag: "base"}.push(t)
	doc := build{
		dockerfile: "FROM " + base.ref + "\nRUN true\n",
		files:      map[string]string{"modules/triggered/package.json": npm("triggered")},
	}.push(t).sbom(t)
	require.Equal(t, []string{"npm triggered 1.0.0 2: FROM " + base.ref}, doc.list())
}

// Each platform has a document of its own, which the provenance names.
func TestPlatforms(t *testing.T) {
	img := build{
		dockerfile: "FROM scratch\nARG TARGETARCH\nCOPY modules/$TARGETARCH /app/node_modules/\n",
		files: map[string]string{
			"modules/amd64/amd/package.json": npm("amd"),
			"modules/arm64/arm/package.json": npm("arm"),
		},
		args:   []string{"--platform", "linux/amd64,linux/arm64"},
		signed: true,
	}.push(t)
	require.Len(t, img.configs, 2)
	named := byproducts(img)
	for platform, name := range map[string]string{"linux/amd64": "amd", "linux/arm64": "arm"} {
		require.Len(t, img.documents[platform], 1)
		raw := img.documents[platform][0]
		doc := parse(t, raw)
		require.Equal(t, []string{"npm " + name + " 1.0.0 4: COPY modules/$TARGETARCH /app/node_modules/"}, doc.list())
		require.Equal(t, platform, doc.image.Platform)
		require.Equal(t, sha256Of(raw), named[platform])
		require.Contains(t, plomb(t, 0, "sbom", "--platform", platform, img.ref).out, name+" ")
	}
	require.Len(t, named, 2)
	require.NotEqual(t, named["linux/amd64"], named["linux/arm64"])
	require.False(t, strings.Contains(string(img.documents["linux/amd64"][0]), `"arm"`))
}
