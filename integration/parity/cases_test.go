// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/tamper"
	"github.com/plombproject/plomb/provenance"
)

// folder writes a build context.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := shortDir(t)
	expand := given.replacer(dir)
	for name, content := range files {
		to := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		require.NoError(t, os.WriteFile(to, []byte(expand.Replace(content)), 0o644))
	}
	return dir
}

// signed are the arguments of a build that plomb signs.
func signed() []string {
	return []string{
		"--build-arg", "BUILDKIT_SYNTAX=" + shared.Frontend, "--build-arg", "PLOMB_SIGN=keyless",
		"--secret", "id=plomb-id-token,src=" + given["TOKEN"], "--build-context", "plomb=" + shared.Sigstore,
	}
}

// A pushed is an image in the registry.
type pushed struct {
	ref      string
	log      string
	index    ocispecs.Index
	manifest ocispecs.Manifest // of the first platform
	digest   string            // of that manifest
	subjects []string          // image IDs that the signature is about
	repo     tamper.Repository
}

// push builds dir and takes apart what got into the registry.
func push(t *testing.T, on *stand.Stand, name, dir string, args ...string) pushed {
	t.Helper()
	ref := shared.Registry + "/parity/" + name + ":latest"
	c := command{on: on, args: slices.Concat([]string{"build", "--progress=plain", "--output", "type=image,push=true,name=" + ref}, args, []string{dir})}
	log := c.must(t).all
	img := inspect(t, ref)
	img.log = log
	return img
}

// inspect takes an image in the registry apart.
func inspect(t *testing.T, ref string) pushed {
	t.Helper()
	img := pushed{ref: ref}
	repo, tag, err := tamper.Parse(ref)
	require.NoError(t, err)
	img.repo = repo
	data, err := repo.Manifest(t.Context(), tag)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &img.index))
	require.NotEmpty(t, img.index.Manifests, "no index: build with provenance")
	first := img.index.Manifests[0]
	img.digest = first.Digest.String()
	data, err = repo.Manifest(t.Context(), img.digest)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &img.manifest))
	if bundle := first.Annotations[provenance.BundleAnnotation]; bundle != "" {
		img.subjects = subjects(t, bundle)
	}
	return img
}

func subjects(t testing.TB, annotation string) []string {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(annotation)
	require.NoError(t, err)
	var b struct {
		DSSE struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(data, &b))
	s, err := provenance.ParseStatement(b.DSSE.Payload)
	require.NoError(t, err)
	var ids []string
	for _, subject := range s.Subject {
		if subject.Name == provenance.SubjectImageID {
			ids = append(ids, "sha256:"+subject.Digest["sha256"])
		}
	}
	return ids
}

// attested are the predicate types that come with the image, sorted, and the
// statements behind them.
// Of several of one type, the statement that is not plomb's own SBOM counts.
func (p pushed) attested(t *testing.T) ([]string, map[string][]byte) {
	t.Helper()
	var types []string
	statements := map[string][]byte{}
	for _, d := range p.index.Manifests {
		if d.Annotations["vnd.docker.reference.digest"] != p.digest {
			continue
		}
		data, err := p.repo.Manifest(t.Context(), d.Digest.String())
		require.NoError(t, err)
		var m ocispecs.Manifest
		require.NoError(t, json.Unmarshal(data, &m))
		for _, layer := range m.Layers {
			predicate := layer.Annotations["in-toto.io/predicate-type"]
			types = append(types, predicate)
			data, err := p.repo.Blob(t.Context(), layer.Digest)
			require.NoError(t, err)
			if !bytes.Contains(data, []byte("Tool: plomb-")) || statements[predicate] == nil {
				statements[predicate] = data
			}
		}
	}
	slices.Sort(types)
	return types, statements
}

// steps are the names of what a build did, as the progress display has them.
func steps(log string) []string {
	var names []string
	seen := map[string]bool{}
	for line := range strings.Lines(colour.ReplaceAllString(log, "")) {
		number, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || !strings.HasPrefix(number, "#") || number == "#0" || seen[number] {
			continue
		}
		seen[number] = true
		names = append(names, name)
	}
	return names
}

// cached are the steps that a build took from its cache, or pulled from another
// one's.
func cached(log string) []string {
	names := map[string]string{}
	var list []string
	for line := range strings.Lines(colour.ReplaceAllString(log, "")) {
		number, text, ok := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case !ok || !strings.HasPrefix(number, "#"):
		case names[number] == "":
			names[number] = text
		case text == "CACHED", strings.HasPrefix(text, "extracting sha256:"), strings.HasPrefix(text, "sha256:"):
			list = append(list, names[number])
		}
	}
	return list
}
