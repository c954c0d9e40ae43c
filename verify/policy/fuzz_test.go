// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy"
)

func load(t *testing.T, doc string) *policy.Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.yaml")
	require.NoError(t, os.WriteFile(path, []byte(doc), 0o600))
	set, err := policy.Load(path)
	require.NoError(t, err)
	return set
}

// FuzzParse: whatever the bytes, a policy that comes out has a name, an origin,
// and authorities that say who may sign.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("---\n" + good + "---\n" + good))
	f.Add([]byte(`{"apiVersion":"policy.sigstore.dev/v1alpha1","kind":"ClusterImagePolicy","metadata":{"name":"j"},"spec":{"images":[{"glob":"*"}],"authorities":[{"static":{"action":"fail"}}]}}`))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? {a: b}\n: c"))
	f.Add([]byte("!!binary x: y"))
	f.Fuzz(func(t *testing.T, data []byte) {
		policies, err := policy.Parse("f.yaml", data)
		if err != nil {
			require.Empty(t, policies)
			return
		}
		for _, p := range policies {
			require.NotEmpty(t, p.Name)
			require.NotEmpty(t, p.Origin)
			require.NotEmpty(t, p.Authorities)
			for _, a := range p.Authorities {
				kinds := 0
				for _, is := range []bool{a.Static != nil, a.Trust.Keyless != nil, a.Trust.Key != nil, a.Trust.Notation != nil} {
					if is {
						kinds++
					}
				}
				require.Equal(t, 1, kinds)
				if a.Trust.Keyless != nil {
					require.NotEmpty(t, a.Identities)
				}
			}
		}
	})
}
