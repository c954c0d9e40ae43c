// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package evidence tests on real daemons what an image says of itself: SBOM and
// provenance, as plomb, buildx and cosign read them.
package evidence

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

// on is the stand of all tests in this package; base is its busybox image.
var (
	on   *stand.Stand
	base string
)

func TestMain(m *testing.M) {
	os.Exit(standtest.Main(m, func(shared *standtest.Shared) (err error) {
		if on, err = shared.Start(stand.Options{}); err != nil {
			return err
		}
		base, err = harness.Hack(context.Background(), on, "base", "busybox")
		return err
	}))
}

// dockerfile installs packages without a network: what dpkg would write.
// ${BASE} is the base image.
const dockerfile = `FROM scratch AS plain
COPY os-release status /

FROM ${BASE}
COPY os-release /etc/os-release
COPY status /var/lib/dpkg/status
RUN printf 'Package: %s\nStatus: install ok installed\nVersion: %s\nArchitecture: amd64\nMaintainer: A <a@example.com>\nDescription: one\n\n' \
    hello ${HELLO} >> /var/lib/dpkg/status
`

const status = `Package: base-files
Status: install ok installed
Version: 12.4
Architecture: amd64
Maintainer: Santiago Vila <sanvila@debian.org>
Description: Debian base system miscellaneous files

`

// sources writes a build context whose image has hello in that version.
func sources(t *testing.T, hello string) string {
	t.Helper()
	text := strings.NewReplacer("${BASE}", base, "${HELLO}", hello).Replace(dockerfile)
	return harness.Folder(t, map[string]string{
		"Dockerfile": "# syntax=" + on.Frontend + "\n" + text,
		"os-release": "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		"status":     status,
	})
}

// build builds, signs and pushes name:v1 and returns its reference.
func build(t *testing.T, name, dir string, args ...string) string {
	t.Helper()
	ref := on.Registry + "/ev/" + name + ":v1"
	harness.Command{On: on, Args: slices.Concat(harness.Push(ref), harness.Signed(t, on), args, []string{dir})}.Must(t)
	return ref
}

func buildx(t *testing.T, args ...string) harness.Printout {
	t.Helper()
	return harness.Command{On: on, Args: args}.Must(t)
}

// plomb runs the command that users run, with the stand's policy and demands an
// exit status.
func plomb(t *testing.T, status int, args ...string) harness.Printout {
	t.Helper()
	p := harness.Command{On: on, Name: "plomb", Args: args}.Run(t)
	require.Equal(t, status, p.Status, "plomb %s\n%s", strings.Join(args, " "), p.All)
	return p
}

const (
	annotationPredicateType = "in-toto.io/predicate-type"
	predicateSPDX           = "https://spdx.dev/Document"
)

// swap changes the SPDX statement beside the first platform, and everything
// that names it, and pushes the image as tag.
func swap(t *testing.T, ref, tag string, change func(statement []byte) []byte) string {
	t.Helper()
	repo, from := dissect.Registry(t, ref)
	m := dissect.Pull(t, ref).Attestation(t)
	require.NotNil(t, m)
	swapped := 0
	for i, l := range m.Layers {
		if l.Annotations[annotationPredicateType] != predicateSPDX {
			continue
		}
		statement, err := repo.Blob(t.Context(), l.Digest)
		require.NoError(t, err)
		statement = change(statement)
		dgst, err := repo.PutBlob(t.Context(), statement)
		require.NoError(t, err)
		m.Layers[i].Digest, m.Layers[i].Size = dgst, int64(len(statement))
		swapped++
	}
	require.Equal(t, 1, swapped)
	data, err := json.Marshal(m)
	require.NoError(t, err)
	_, err = repo.PutManifest(t.Context(), tag+"-attestation", data)
	require.NoError(t, err)
	require.NoError(t, repo.Index(t.Context(), from, tag, func(idx *ocispecs.Index) error {
		idx.Manifests[1].Digest, idx.Manifests[1].Size = digest.FromBytes(data), int64(len(data))
		return nil
	}))
	return repo.Ref(tag)
}
