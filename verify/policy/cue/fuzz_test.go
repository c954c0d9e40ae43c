// SPDX-License-Identifier: Apache-2.0

package cue_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy/cue"
)

// FuzzCheck: data that the policy agrees with are JSON, and hold what the
// policy demands for every other reader too.
func FuzzCheck(f *testing.F) {
	p, err := cue.Compile("p.yaml:7", `{predicate: {n!: 1, s!: "x", ...}, ...}`)
	require.NoError(f, err)
	f.Add([]byte(`{"predicate": {"n": 1, "s": "x"}}`))
	f.Add([]byte(`{"predicate": {"n": 2, "n": 1, "s": "x"}}`))
	f.Add([]byte(`{"predicate": {"n": 1.0, "s": "\u0078"}, "a": [null, true, {"b": -1e3}]}`))
	f.Add([]byte(`{"predicate": {"n": 1, "s": "\(n)"}}`))
	f.Add([]byte("predicate: n: 1\npredicate: s: \"x\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		err := p.Check(context.Background(), data)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		var v struct {
			Predicate struct {
				N float64 `json:"n"`
				S string  `json:"s"`
			} `json:"predicate"`
		}
		require.NoError(t, json.Unmarshal(data, &v))
	})
}
