// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
)

// TestReasonsAreDocumented: the table in docs/verify.md has every refusal, in
// the order of Refusals. On failure the message is the table to paste.
func TestReasonsAreDocumented(t *testing.T) {
	var table strings.Builder
	table.WriteString("| code | verdict | meaning |\n|---|---|---|\n")
	seen := map[string]bool{}
	for _, r := range verify.Refusals() {
		require.False(t, seen[r.Code], "code %s twice", r.Code)
		require.NotEqual(t, decision.Allow, r.Verdict)
		require.NotNil(t, r.Err)
		seen[r.Code] = true
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", r.Code, r.Verdict, r.Meaning)
	}
	fmt.Fprintf(&table, "| `%s` | %s | %s |\n", verify.CodeInternal, decision.Undecided, "an error without a code of its own")
	doc, err := os.ReadFile("../docs/verify.md")
	require.NoError(t, err)
	require.Contains(t, string(doc), table.String())
}

// TestEveryMemberOfADecisionIsDocumented: docs/verify.md names each JSON member.
func TestEveryMemberOfADecisionIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/verify.md")
	require.NoError(t, err)
	require.Contains(t, string(doc), decision.Schema)
	for _, v := range []any{decision.Decision{}, decision.Image{}, decision.Rule{}, decision.Manifest{}, decision.Signer{}, decision.Check{}, decision.Basis{}, decision.Attestation{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			require.Contains(t, string(doc), "`"+name+"`", "%s.%s", typ, name)
		}
	}
}

// TestUnsupportedFieldsAreDocumented: docs/policy.md has each by name.
func TestUnsupportedFieldsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/policy.md")
	require.NoError(t, err)
	for _, field := range policy.Unsupported {
		require.Contains(t, string(doc), "`"+field+"`")
	}
}

// TestThePolicyOfTheDocumentationLoads: people copy it.
func TestThePolicyOfTheDocumentationLoads(t *testing.T) {
	doc, err := os.ReadFile("../docs/policy.md")
	require.NoError(t, err)
	blocks := strings.Split(string(doc), "```yaml\n")[1:]
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		text, _, _ := strings.Cut(block, "```")
		_, err := policy.Parse("docs/policy.md", []byte(text))
		require.NoError(t, err)
	}
}

// TestTheDecisionOfTheDocumentationIsOne: it decodes without a member left over.
func TestTheDecisionOfTheDocumentationIsOne(t *testing.T) {
	doc, err := os.ReadFile("../docs/verify.md")
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(doc), "```json\n")
	require.True(t, ok)
	text, _, _ := strings.Cut(after, "```")
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	var d decision.Decision
	require.NoError(t, dec.Decode(&d))
	require.Equal(t, decision.Allow, d.Verdict)
	require.Equal(t, decision.Schema, d.Schema)
}
