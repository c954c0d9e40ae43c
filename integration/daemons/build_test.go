// SPDX-License-Identifier: Apache-2.0

//go:build integration

package daemons

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/tamper"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
)

// commandLimit bounds one command. The slowest installs Debian packages, with
// the native snapshotter on a busy machine.
const commandLimit = 10 * time.Minute

// A build is one `buildx build` that pushes an image.
type build struct {
	on         *stand.Stand
	tag        string // in the repository of the test
	dockerfile string // without the syntax line; ${BUSYBOX} is the base image
	files      map[string]string
	output     string // further attributes of the exporter
	args       []string
	signed     bool
}

// run returns the reference, and what buildx printed.
func (b build) run(t *testing.T) (ref, log string, err error) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"Dockerfile": "# syntax=" + shared.Frontend + "\n" + strings.ReplaceAll(b.dockerfile, "${BUSYBOX}", hack(t, "base", "busybox"))}
	for name, content := range b.files {
		files[name] = content
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	ref = shared.Registry + "/it/daemons:" + b.tag
	args := []string{"build", "--progress=plain", "--output", "type=image,push=true,name=" + ref + b.output}
	if b.signed {
		token := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(token, []byte(hack(t, "token")), 0o600))
		args = append(args, "--secret", "id=plomb-id-token,src="+token, "--build-context", "plomb="+shared.Sigstore)
	}
	log, err = in(t, b.on, "buildx", append(append(args, b.args...), dir)...)
	return ref, log, err
}

func (b build) must(t *testing.T) (pushed, string) {
	t.Helper()
	ref, log, err := b.run(t)
	require.NoError(t, err, log)
	return pull(t, ref), log
}

// in runs a program with the stand's environment and returns all it printed.
func in(t *testing.T, s *stand.Stand, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, program), args...)
	cmd.Env = s.Environ()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// hack runs a developer's command and returns the last line it printed.
func hack(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join("../../hack", name), args...)
	cmd.Env = shared.Environ()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// A pushed image, taken apart.
type pushed struct {
	ref       string
	mediaType string          // of what the reference names
	index     *ocispecs.Index // nil where it names a manifest
	manifest  digest.Digest   // of the first platform
	layerType string
	layers    []digest.Digest
	config    digest.Digest
	// attestation is the attestation manifest of the first platform, or nil.
	attestation *ocispecs.Manifest
	subjects    []provenance.Subject // of the signed statement
	byproducts  []slsa.ResourceDescriptor
}

// signed lists the digests of the subjects with that name.
func (p pushed) signed(name string) (digests []string) {
	for _, s := range p.subjects {
		if s.Name == name {
			digests = append(digests, s.Digest["sha256"])
		}
	}
	return digests
}

func pull(t *testing.T, ref string) pushed {
	t.Helper()
	repo, tag, err := tamper.Parse(ref)
	require.NoError(t, err)
	get := func(name string, v any) digest.Digest {
		data, err := repo.Manifest(t.Context(), name)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, v))
		return digest.FromBytes(data)
	}
	p := pushed{ref: ref}
	var index ocispecs.Index
	p.manifest = get(tag, &index)
	p.mediaType = index.MediaType
	if len(index.Manifests) > 0 {
		p.index, p.manifest = &index, index.Manifests[0].Digest
		p.subjects, p.byproducts = claims(t, index.Manifests[0])
		p.attestation = new(ocispecs.Manifest)
		get(index.Manifests[len(index.Manifests)-1].Digest.String(), p.attestation)
	}
	var m ocispecs.Manifest
	get(p.manifest.String(), &m)
	p.config, p.layerType = m.Config.Digest, m.Layers[0].MediaType
	for _, l := range m.Layers {
		p.layers = append(p.layers, l.Digest)
	}
	return p
}

// claims reads the bundle on a platform's descriptor.
func claims(t *testing.T, d ocispecs.Descriptor) ([]provenance.Subject, []slsa.ResourceDescriptor) {
	t.Helper()
	b64 := d.Annotations[provenance.BundleAnnotation]
	if b64 == "" {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(b64)
	require.NoError(t, err)
	var bundle struct {
		DSSE struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(data, &bundle))
	s, err := provenance.ParseStatement(bundle.DSSE.Payload)
	require.NoError(t, err)
	var predicate slsa.Provenance
	require.NoError(t, json.Unmarshal(s.Predicate, &predicate))
	return s.Subject, predicate.RunDetails.Byproducts
}
