// SPDX-License-Identifier: Apache-2.0

package rego_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy/rego"
)

// FuzzCheck: an input that the module approves of is one JSON value.
func FuzzCheck(f *testing.F) {
	p, err := rego.Compile("p.yaml:7", "package sigstore\nisCompliant { input.predicate.s == \"x\"; count(input.predicate.list) == 2 }", rego.V0)
	require.NoError(f, err)
	f.Add([]byte(`{"predicate": {"list": [1, 2], "s": "x"}}`))
	f.Add([]byte(`{"predicate": {"list": [1, 1e400], "s": "x"}}`))
	f.Add([]byte(`{"predicate": {"list": {"a": 1, "b": null}, "s": "\u0078"}}`))
	f.Add([]byte(`{"predicate": {"list": [1, 2], "s": "x"}} {}`))
	f.Add([]byte(`[{}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		err := p.Check(context.Background(), data, now)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.True(t, json.Valid(data))
	})
}
