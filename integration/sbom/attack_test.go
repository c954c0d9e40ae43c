// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sbom

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// hostile is a Dockerfile by somebody who wants to see the host, to be seen as
// something else, or to end the build. In it is one honest package.
const hostile = `FROM ${BUSYBOX}
ARG TOKEN
RUN echo "$TOKEN" > /token && rm /token
RUN mkdir -p /var/lib/dpkg/status.d /lib/apk/db /var/lib/rpm && \
    ln -s /proc/self/environ /var/lib/dpkg/status && \
    ln -s ../../../../../../../../../etc/shadow /lib/apk/db/installed && \
    mkfifo /var/lib/rpm/rpmdb.sqlite && \
    awk 'BEGIN { printf "Package: huge\nVersion: 1\nDescription: %03000000d\n", 0 }' > /var/lib/dpkg/status.d/huge
RUN ln -s ../../../../../../../etc/os-release /etc/os-release
RUN mkdir -p /sparse && truncate -s 64M /sparse/package.json
RUN mkdir -p /many && cd /many && seq 20000 | xargs touch
RUN d="/bytes/node_modules/$(printf 'a\377b')" && mkdir -p "$d" && echo '{"name":"bytes","version":"1.0.0"}' > "$d/package.json"
RUN mkdir -p /report /out && \
    echo '{"findings":[{"path":"/x","packages":[{"type":"npm","name":"forged"}]}],"files":1}' | tee /packages.json /report/packages.json /out/packages.json > /report.json
COPY --link modules /app/node_modules
COPY jars /jars
`

// Who may be seen nowhere.
const secret = "hunter2-of-the-build-argument"

// zipped is an archive of one file.
func zipped(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.Create(name)
	require.NoError(t, err)
	_, err = f.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func hostileFiles(t *testing.T) map[string]string {
	t.Helper()
	deep := zipped(t, "META-INF/maven/g/a/pom.properties", []byte("groupId=g\nartifactId=deep\nversion=1\n"))
	for range 8 {
		deep = zipped(t, "inner.jar", deep)
	}
	return map[string]string{
		"modules/honest/package.json":  npm("honest"),
		"modules/html/package.json":    npm("<script>alert(1)</script>"),
		"modules/control/package.json": npm(`\u001b[2J\u001b]0;owned\u0007\u0000`),
		"modules/bidi/package.json":    npm(`\u202egnp.exe`),
		"modules/long/package.json":    npm(strings.Repeat("long", 50_000)),
		"modules/nested/package.json":  strings.Repeat("[", 200_000),
		"modules/version/package.json": `{"name":"version","version":"1.0\" onload=\"x","license":"<b>MIT</b>"}`,
		"jars/bomb.jar":                string(zipped(t, "META-INF/maven/g/a/pom.properties", make([]byte, 32<<20))),
		"jars/deep.jar":                string(deep),
		"jars/broken.jar":              "PK\x03\x04 and nothing more",
	}
}

func TestHostileImage(t *testing.T) {
	img := build{dockerfile: hostile, files: hostileFiles(t), args: []string{"--build-arg", "TOKEN=" + secret}, level: "files"}.push(t)
	require.Len(t, img.documents["linux/amd64"], 2)
	t.Run("layers", func(t *testing.T) { requireHarmless(t, img.ref, parse(t, img.documents["linux/amd64"][0])) })
	t.Run("base", func(t *testing.T) {
		on := build{dockerfile: "FROM " + img.ref + "\nRUN true\n"}.push(t)
		requireHarmless(t, on.ref, on.sbom(t))
	})
	t.Run("cleaned", func(t *testing.T) {
		doc := build{dockerfile: "FROM " + img.ref + "\n" +
			"RUN rm -rf /var /lib /etc/os-release /sparse /jars && cd /app/node_modules && rm -r html control bidi long nested\n"}.push(t).sbom(t)
		require.Equal(t, []string{"bytes", "honest", "version"}, doc.names())
		require.Empty(t, doc.unread(), "what could not be read is gone")
	})
}

// links has what package managers read behind links and in devices. /dev/zero
// has no end.
const links = `FROM ${BUSYBOX}
COPY status /var/lib/dpkg/
RUN mkdir -p /usr/share/doc /lib/apk/db /var/lib/rpm /pipes/node_modules/pipe /app/node_modules && \
    ln -s ../../../../../../../../etc /usr/share/doc/base-files && \
    mknod /lib/apk/db/installed c 1 5 && \
    mknod /zero c 1 5 && ln -s /zero /var/lib/rpm/Packages && \
    mkfifo /pipes/node_modules/pipe/package.json && \
    ln -s /proc/self/environ /app/node_modules/package.json && \
    ln -s ../../../../../../../../proc/self /app/node_modules/self
COPY honest /app/node_modules/honest
`

func TestHostileLinks(t *testing.T) {
	dir := folder(t, links, map[string]string{"status": status, "honest/package.json": npm("honest")})
	img := build{dir: dir, level: "files"}.push(t)
	doc := parse(t, img.documents["linux/amd64"][0])
	require.Equal(t, []string{"base-files", "honest"}, doc.names())
	require.Empty(t, doc.find(t, "base-files").License)
	require.Contains(t, doc.unread(), "/lib/apk/db/installed")
	require.Contains(t, doc.unread(), "/var/lib/rpm/Packages")
	for _, data := range img.documents["linux/amd64"] {
		for _, stranger := range strangers(t) {
			require.NotContains(t, string(data), stranger)
		}
	}

	// A link that leads up and out ends at the image's root, as in a container.
	up := build{dockerfile: "FROM " + img.ref + "\nRUN rm -rf /var && ln -s ../../../.. /var\n", tag: "up"}.push(t).sbom(t)
	require.Equal(t, []string{"honest"}, up.names())
	require.NotContains(t, up.unread(), "/var")
}

// Values of build arguments, and passwords in addresses, are told to nobody.
func TestSecrets(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(npm("downloaded")))
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	doc := build{
		dockerfile: "FROM ${BUSYBOX}\nARG TOKEN\nENV COPIED=$TOKEN\n" +
			"ADD http://me:" + secret + "@" + host + "/package.json /app/\n" +
			"RUN mkdir -p /node_modules/a && printf '{\"name\":\"a\",\"version\":\"%s\"}' ${#TOKEN} > /node_modules/a/package.json\n",
		args: []string{"--build-arg", "TOKEN=" + secret},
	}.push(t).sbom(t)
	require.Equal(t, "29", doc.find(t, "a").Version)
	require.Equal(t, "ADD http://"+host+"/package.json /app/", doc.find(t, "downloaded").Origin.Instruction)
	require.Equal(t, []string{"http://" + host + "/package.json"}, doc.related(t, "BUILD_DEPENDENCY_OF"))
	require.NotContains(t, string(doc.raw), secret)
}

func requireHarmless(t *testing.T, ref string, doc sbomOf) {
	t.Helper()
	names := doc.names()
	require.Contains(t, names, "honest")
	require.Contains(t, names, "bytes")
	require.NotContains(t, names, "forged")
	unread := doc.unread()
	for _, path := range []string{
		"/var/lib/dpkg/status", "/lib/apk/db/installed", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/dpkg/status.d/huge",
		"/sparse/package.json", "/jars/bomb.jar", "/jars/deep.jar", "/jars/broken.jar", "/app/node_modules/nested/package.json",
		"/app/node_modules/html/package.json", "/app/node_modules/control/package.json",
		"/app/node_modules/bidi/package.json", "/app/node_modules/long/package.json",
	} {
		require.Contains(t, unread, path)
	}
	require.Contains(t, string(doc.raw), "NOASSERTION")
	for _, stranger := range strangers(t) {
		require.NotContains(t, string(doc.raw), stranger)
	}
	require.True(t, json.Valid(doc.raw))

	o := plomb(t, 0, "sbom", "--allow-unsigned", ref)
	for _, text := range []string{o.out, o.stderr, plomb(t, 0, "sbom", "check", "--allow-unsigned", ref).out} {
		require.True(t, utf8.ValidString(text))
		require.False(t, strings.ContainsFunc(text, func(r rune) bool {
			return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r))
		}), "%q", text)
	}
	require.Contains(t, plomb(t, 0, "sbom", "check", "--allow-unsigned", ref).out, "incomplete")
}

// strangers are words of the host and of the build that have no place in an SBOM.
func strangers(t *testing.T) []string {
	t.Helper()
	host, err := os.Hostname()
	require.NoError(t, err)
	return []string{secret, host, "root:", "BUILDKIT_", "/proc/self", on.Dir}
}
