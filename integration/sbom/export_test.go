// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sbom

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/provenance/spdx"
)

const small = "FROM scratch\nCOPY modules /app/node_modules\n"

func smallFiles() map[string]string {
	return map[string]string{"modules/small/package.json": npm("small")}
}

// What has no index gets an SBOM only if somebody asked for it.
func TestArchives(t *testing.T) {
	dir := folder(t, small, smallFiles())
	for name, tc := range map[string]struct {
		format, level string
		sbom          bool
	}{
		"docker":  {"docker", unasked, false},
		"oci":     {"oci", unasked, false},
		"asked":   {"oci", "packages", true},
		"refused": {"oci", "off", false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "image.tar")
			_, o := build{dir: dir, level: tc.level, output: "type=" + tc.format + ",dest=" + file}.run(t)
			require.Zero(t, o.status, o.all())
			files := untar(t, file)
			var index ocispecs.Index
			require.NoError(t, json.Unmarshal(files["index.json"], &index))
			require.Equal(t, tc.sbom, index.Manifests[0].MediaType == ocispecs.MediaTypeImageIndex, string(files["index.json"]))
			found := false
			for _, data := range files {
				found = found || strings.Contains(string(data), `"spdxVersion":`)
			}
			require.Equal(t, tc.sbom, found)
		})
	}
}

func untar(t *testing.T, name string) map[string][]byte {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	out := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		require.NoError(t, err)
		if out[h.Name], err = io.ReadAll(r); err != nil {
			require.NoError(t, err)
		}
	}
}

// A folder gets the document as a file, beside the signature that names it.
func TestFolders(t *testing.T) {
	dir := folder(t, small, smallFiles())
	plain := t.TempDir()
	_, o := build{dir: dir, level: unasked, output: "type=local,dest=" + plain}.run(t)
	require.Zero(t, o.status, o.all())
	require.FileExists(t, filepath.Join(plain, "app/node_modules/small/package.json"))
	require.NoFileExists(t, filepath.Join(plain, "sbom.spdx.json"))

	signed := t.TempDir()
	_, o = build{dir: dir, level: unasked, signed: true, output: "type=local,dest=" + signed}.run(t)
	require.Zero(t, o.status, o.all())
	data, err := os.ReadFile(filepath.Join(signed, "sbom.spdx.json"))
	require.NoError(t, err)
	var s struct{ Predicate json.RawMessage }
	require.NoError(t, json.Unmarshal(data, &s))
	require.Equal(t, []string{"small"}, parse(t, s.Predicate).names())

	// BuildKit indents what it writes into folders.
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, s.Predicate))
	bundle, err := os.ReadFile(filepath.Join(signed, "plomb.sigstore.json"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"linux/amd64": sha256Of(compact.Bytes())}, byproducts(&image{signed: embeddedClaims(t, bundle)}))
}

// Whoever wants none gets none, and pays for none.
func TestOff(t *testing.T) {
	img := build{dockerfile: "FROM ${BUSYBOX}\nRUN true\n", level: "off", signed: true}.push(t)
	require.Empty(t, img.documents)
	require.NotNil(t, img.signed)
	for _, b := range img.signed.RunDetails.Byproducts {
		require.NotContains(t, []string{slsa.ByproductSBOM, slsa.ByproductSBOMFiles}, b.Name)
	}
	for step := range steps(img.log) {
		require.NotContains(t, step, "catalogue")
		require.NotContains(t, step, "SBOM")
	}
	require.Contains(t, plomb(t, 2, "sbom", img.ref).stderr, "no SBOM")
}

// many writes a database of dpkg with that many packages, each of which makes
// some 4 KiB of a document.
const many = `FROM ${BUSYBOX}
ARG PACKAGES
RUN mkdir -p /var/lib/dpkg && awk -v n=$PACKAGES 'BEGIN { \
    text = sprintf("%04000d", 0); \
    for (i = 0; i < n; i++) printf "Package: p%d\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\nDescription: %s\n\n", i, text \
    }' > /var/lib/dpkg/status
`

// A document may be larger than what a frontend can send to BuildKit.
func TestLarge(t *testing.T) {
	img := build{dockerfile: many, args: []string{"--build-arg", "PACKAGES=4500"}}.push(t)
	doc := img.sbom(t)
	require.Greater(t, len(doc.raw), 18<<20)
	require.Len(t, doc.inventory.Items, 4500)
	require.Contains(t, steps(img.log), "[plomb] write the SBOM")
}

// deep writes files whose names take some 3.5 KiB each of a list of files.
const deep = `FROM ${BUSYBOX}
RUN d=$(printf '%0240d' 0) && cd / && for i in $(seq 14); do mkdir $d && cd $d; done && seq 11000 | xargs touch
`

// Beyond the limit there is no image, and the error says what to do.
func TestBeyondTheLimit(t *testing.T) {
	limit := strconv.Itoa(spdx.Limit)
	for level, tc := range map[string]struct{ dockerfile, says string }{
		"packages": {many, `800[0-9] packages make [0-9]{8} bytes, and the limit is ` + limit + `; build with PLOMB_SBOM=off`},
		"files":    {deep, `the list of files is beyond ` + limit + ` bytes; build with PLOMB_SBOM=packages`},
	} {
		t.Run(level, func(t *testing.T) {
			ref, o := build{dockerfile: tc.dockerfile, args: []string{"--build-arg", "PACKAGES=8000"}, level: level}.run(t)
			require.NotZero(t, o.status)
			require.Regexp(t, `(?m)^ERROR: .* write the SBOM: .*SBOM too large: (`+tc.says+`)`, o.stderr)
			require.NotContains(t, o.stderr, "exporting")
			require.NotContains(t, o.stderr, "pushing")
			require.NotZero(t, command(t, on, nil, "buildx", "imagetools", "inspect", ref).status, "nothing was pushed")
		})
	}
}
