// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/provenance"
)

// folder writes a build context.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := harness.Dir(t)
	expand := given.replacer(dir)
	for name, content := range files {
		harness.Write(t, dir, name, expand.Replace(content))
	}
	return dir
}

// withPlomb are the arguments that make a build use plomb's frontend instead
// of the one in buildkitd, without a change of the Dockerfile.
func withPlomb() []string {
	return []string{"--build-arg", "BUILDKIT_SYNTAX=" + shared.Frontend, "--build-arg", "PLOMB_SIGN=off"}
}

// signed are the arguments of a build that plomb signs.
func signed() []string {
	return append([]string{"--build-arg", "BUILDKIT_SYNTAX=" + shared.Frontend, "--build-arg", "PLOMB_SIGN=keyless"},
		harness.SignedWith(shared, given["TOKEN"])...)
}

// A pushed is an image in the registry.
type pushed struct {
	dissect.Image
	ref string
	log string
}

// push builds dir and takes apart what got into the registry.
func push(t *testing.T, on *stand.Stand, name, dir string, args ...string) pushed {
	t.Helper()
	ref := shared.Registry + "/parity/" + name + ":latest"
	p := harness.Command{On: on, Args: slices.Concat(harness.Push(ref), args, []string{dir})}.Must(t)
	img := pushed{dissect.Pull(t, ref), ref, p.All}
	require.NotNil(t, img.Index, "no index: build with provenance")
	return img
}

// subjects are the image IDs that the signature is about.
func (p pushed) subjects() []string { return p.Bundle.Subjects(provenance.SubjectImageID) }

// attested are the predicate types that come with the image, sorted, and the
// statements behind them. Of several of one type, the one that is not plomb's own
// SBOM counts.
func (p pushed) attested(t *testing.T) ([]string, map[string][]byte) {
	t.Helper()
	var types []string
	statements := map[string][]byte{}
	m := p.Attestation(t)
	require.NotNil(t, m, "no attestations")
	repo, _ := dissect.Registry(t, p.ref)
	for _, layer := range m.Layers {
		predicate := layer.Annotations["in-toto.io/predicate-type"]
		types = append(types, predicate)
		data, err := repo.Blob(t.Context(), layer.Digest)
		require.NoError(t, err)
		if !bytes.Contains(data, []byte("Tool: plomb-")) || statements[predicate] == nil {
			statements[predicate] = data
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
