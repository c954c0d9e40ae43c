// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/policy/cel"
	"github.com/plombproject/plomb/verify/policy/schema"
)

const docs = "../../../docs"

func TestCommittedSchemasAreCurrent(t *testing.T) {
	files, err := schema.Generate(schema.Module+"/verify/policy/schema", "../spec")
	require.NoError(t, err)
	entries, err := os.ReadDir(filepath.Join(docs, "schema"))
	require.NoError(t, err)
	require.Len(t, entries, len(files))
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(docs, "schema", name))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "%s is not up to date: run hack/generate", name)
		require.Greater(t, strings.Count(string(got), `"description"`), 10, "the comments were found")
	}
}

// validators are the committed schemas, by kind of document.
func validators(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	all := map[string]*jsonschema.Schema{}
	for kind, name := range map[string]string{
		"ImagePolicy": "imagepolicy-v1.schema.json", "ClusterImagePolicy": "clusterimagepolicy.schema.json", "TrustRoot": "trustroot.schema.json",
	} {
		s, err := jsonschema.NewCompiler().Compile(filepath.Join(docs, "schema", name))
		require.NoError(t, err)
		all[kind] = s
	}
	return all
}

// valid reports what the schemas say of the documents of a policy file.
func valid(t *testing.T, schemas map[string]*jsonschema.Schema, text string) error {
	t.Helper()
	dec := yaml.NewDecoder(strings.NewReader(text))
	var faults []error
	for {
		var doc map[string]any
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return errors.Join(faults...)
		}
		require.NoError(t, err)
		kind, _ := doc["kind"].(string)
		if schemas[kind] == nil {
			faults = append(faults, errors.New("unknown kind "+kind))
			continue
		}
		faults = append(faults, schemas[kind].Validate(doc))
	}
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")

// Every example is read by the strict reader and valid by the schema.
func TestExamplesAreValid(t *testing.T) {
	schemas := validators(t)
	folders, err := filepath.Glob(filepath.Join(docs, "policies", "*", "policy.yaml"))
	require.NoError(t, err)
	examples := map[string][]byte{}
	for _, file := range folders {
		examples[file], err = os.ReadFile(file)
		require.NoError(t, err)
	}
	page, err := os.ReadFile(filepath.Join(docs, "imagepolicy.md"))
	require.NoError(t, err)
	blocks := yamlBlock.FindAllSubmatch(page, -1)
	require.GreaterOrEqual(t, len(blocks), 4)
	for i, block := range blocks {
		examples["imagepolicy.md, example "+string(rune('1'+i))] = block[1]
	}
	for name, text := range examples {
		require.NoError(t, valid(t, schemas, string(text)), name)
		_, err := policy.FromFiles(name, []policy.File{{Name: name, Data: text}})
		require.NoError(t, err, name)
	}
}

func TestSchemaRefuses(t *testing.T) {
	schemas := validators(t)
	const head = "apiVersion: plombproject.github.io/v1\nkind: ImagePolicy\nmetadata: {name: a}\n"
	const images = head + "spec:\n  images: [{glob: '**'}]\n"
	const good = images + "  authorities: [{static: {action: pass}}]\n"
	require.NoError(t, valid(t, schemas, good))
	for _, text := range []string{
		head,
		head + "spec: {}\n",
		head + "spec: {images: [], authorities: [{static: {action: pass}}]}\n",
		images,
		strings.Replace(good, "v1", "v2", 1),
		good + "  freshnes: {build: 30d}\n",
		good + "  freshness: {build: 30}\n",
		good + "  undecided: allow\n",
		good + "  rules: [{cel: 'true'}]\n",
		good + "  signedIdentity: {type: matchAll}\n",
		good + "  exceptions: [{image: a, conditions: [], reason: b, expires: c}]\n",
		// Fields that are refused by name are no part of it.
		images + "  authorities: [{key: {kms: x}}]\n",
		// What an ImagePolicy has beyond a ClusterImagePolicy.
		strings.NewReplacer("plombproject.github.io/v1", "policy.sigstore.dev/v1beta1", "ImagePolicy", "ClusterImagePolicy").Replace(images + "  authorities: [{notation: {trustedIdentities: ['*']}}]\n"),
	} {
		require.Error(t, valid(t, schemas, text), text)
	}
}

// The page tells of each field of an ImagePolicy, and of each variable of CEL.
func TestPageIsComplete(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(docs, "imagepolicy.md"))
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(docs, "schema", "imagepolicy-v1.schema.json"))
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	defs := doc.(map[string]any)["$defs"].(map[string]any)
	for _, kind := range []string{"ImagePolicy", "Rule", "Freshness", "SignedIdentity", "Byproduct", "Package", "Materials", "Material", "Deny", "DeniedDigest", "DeniedIdentity", "DeniedSerial", "DeniedKey", "Exception"} {
		for name := range defs[kind].(map[string]any)["properties"].(map[string]any) {
			require.True(t, strings.Contains(string(page), "`"+name), "%s.%s", kind, name)
		}
	}
	for name := range cel.Variables() {
		require.True(t, regexp.MustCompile("(?m)^\\|[^|]*`"+name+"[`.]").Match(page), name)
	}
	for _, fields := range cel.Fields() {
		for name := range fields {
			require.True(t, regexp.MustCompile("[`.]"+name+"[`.]").Match(page), name)
		}
	}
}
