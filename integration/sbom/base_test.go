// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sbom

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// parent is a base image that plomb built, with an SBOM of its own.
func parent(t *testing.T) *image {
	t.Helper()
	return build{
		dockerfile: "FROM ${BUSYBOX}\nCOPY modules /base/node_modules\n",
		files:      map[string]string{"modules/inherited/package.json": npm("inherited")},
		tag:        "base",
	}.push(t)
}

// The document says what the image stands on, and what else the build used.
func TestAncestors(t *testing.T) {
	base := parent(t)
	tool := build{dockerfile: "FROM ${BUSYBOX}\n", tag: "tool"}.push(t)
	part := build{dockerfile: "FROM scratch\nCOPY Dockerfile /part\n", tag: "part"}.push(t)
	doc := build{dockerfile: "FROM " + tool.ref + " AS made\nRUN echo made > /made\n" +
		"FROM " + tool.ref + " AS unused\nRUN echo unused > /unused\n" +
		"FROM " + base.ref + "\nCOPY --from=made /made /\nCOPY --from=" + part.ref + " /part /\n"}.push(t).sbom(t)

	require.Equal(t, []string{base.ref + " " + base.digest.String()}, doc.related(t, "DESCENDANT_OF"))
	require.Equal(t, []string{tool.ref}, doc.related(t, "BUILD_TOOL_OF"))
	require.Equal(t, []string{part.ref}, doc.related(t, "BUILD_DEPENDENCY_OF"))
	require.True(t, doc.find(t, "inherited").Origin.Base)

	sum := sha1.Sum(base.sbom(t).raw)
	require.NotNil(t, doc.image.Base.SBOM)
	require.Equal(t, hex.EncodeToString(sum[:]), doc.image.Base.SBOM.SHA1)
	require.Contains(t, string(base.sbom(t).raw), `"documentNamespace":"`+doc.image.Base.SBOM.Namespace+`"`)
}

// A registry gives BuildKit the base image, and its SBOM to nobody: the build
// goes on, and refers to none.
func TestBaseSBOMOutOfReach(t *testing.T) {
	base := parent(t)
	attestation := base.index.Manifests[1].Digest.String()
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request) bool // false: hand on the request
		warns  bool
	}{
		"private": {func(w http.ResponseWriter, r *http.Request) bool {
			if _, password, _ := r.BasicAuth(); password == "hunter2" {
				return false
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}, false},
		"broken": {func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, attestation) {
				return false
			}
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}, true},
		"another": {func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, attestation) {
				return false
			}
			_, _ = w.Write([]byte(`{"schemaVersion":2}`))
			return true
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: on.Registry})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !tc.answer(w, r) {
					proxy.ServeHTTP(w, r)
				}
			}))
			defer server.Close()
			host := strings.TrimPrefix(server.URL, "http://")
			config := t.TempDir()
			write(t, config, "config.json", `{"auths":{"`+host+`":{"auth":"`+base64.StdEncoding.EncodeToString([]byte("me:hunter2"))+`"}}}`)
			img := build{
				dockerfile: "FROM " + host + strings.TrimPrefix(base.ref, on.Registry) + "\nCOPY Dockerfile /\n",
				env:        []string{"DOCKER_CONFIG=" + config},
			}.push(t)
			doc := img.sbom(t)
			require.Nil(t, doc.image.Base.SBOM)
			require.Equal(t, base.digest.String(), doc.image.Base.Digest)
			require.Equal(t, tc.warns, strings.Contains(img.log, "[plomb] BaseSBOM"), img.log)
			require.Equal(t, []string{"inherited"}, doc.names())
			require.NotContains(t, string(doc.raw), "hunter2")
		})
	}
}

// In a bake file, one target stands on another.
func TestTargetContext(t *testing.T) {
	dir := folder(t, "FROM base\nCOPY modules/own /own/node_modules/own\n", map[string]string{
		"modules/own/package.json":  npm("own"),
		"modules/base/package.json": npm("inherited"),
	})
	ref := build{}.ref(t)
	write(t, dir, "docker-bake.hcl", strings.ReplaceAll(`
target "base" {
  dockerfile-inline = "# syntax=${FRONTEND}\nFROM scratch\nCOPY modules/base /base/node_modules/inherited\n"
  args = { PLOMB_SIGN = "off" }
}
target "default" {
  contexts = { base = "target:base" }
  args = { PLOMB_SIGN = "off", PLOMB_SBOM = "packages" }
  output = ["type=image,push=true,name=`+ref+`"]
  attest = ["type=provenance,disabled=true"]
}
`, "${FRONTEND}", on.Frontend))
	o := command(t, on, []string{"BUILDX_BAKE_FILE="}, "buildx", "bake", "--progress=plain", "--file", filepath.Join(dir, "docker-bake.hcl"),
		"--set", "*.context="+dir, "--allow=fs.read="+dir)
	require.Zero(t, o.status, o.all())
	doc := pull(t, ref).sbom(t)
	require.Equal(t, []string{"npm inherited 1.0.0 base", "npm own 1.0.0 3: COPY modules/own /own/node_modules/own"}, doc.list())
}
