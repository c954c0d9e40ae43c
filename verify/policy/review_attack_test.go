// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy"
)

// TestHostsInCapitals: DNS knows no case, so a strict policy must not be evaded
// by asking for REGISTRY.example beside a lax one for everything.
func TestHostsInCapitals(t *testing.T) {
	for _, name := range []string{"REGISTRY.example/app:v1", "registry.EXAMPLE/app"} {
		spellings, err := policy.Spellings(name, dgst)
		if err == nil {
			require.Contains(t, spellings, "registry.example/app@"+dgst.String(), name)
		}
	}
}

// TestMergeWithAnEmptyFolder: a folder of policies that was not mounted must not
// be made up for by another.
func TestMergeWithAnEmptyFolder(t *testing.T) {
	lax, err := policy.FromFiles("lax", []policy.File{{Name: "a.yaml", Data: []byte(good)}})
	require.NoError(t, err)
	none, err := policy.Load(t.TempDir())
	require.NoError(t, err)
	_, err = policy.Merge(lax, none)
	require.ErrorIs(t, err, policy.ErrEmpty)
}

// TestTrustIDs: no two trusts that differ in any member have one ID: a claim that
// was verified under the one would count under the other.
func TestTrustIDs(t *testing.T) {
	seen := map[string]string{}
	note := func(path string, trust policy.Trust) {
		require.Empty(t, seen[trust.ID()], "%s is like %s", path, seen[trust.ID()])
		seen[trust.ID()] = path
	}
	for _, base := range []policy.Trust{
		{Keyless: &policy.KeylessTrust{}}, {Key: &policy.KeyTrust{}}, {Notation: &policy.NotationTrust{}},
		{Keyless: &policy.KeylessTrust{}, Log: &policy.LogTrust{}}, {Keyless: &policy.KeylessTrust{}, Timestamp: &policy.TimestampTrust{}},
		{Key: &policy.KeyTrust{}, Log: &policy.LogTrust{}, Timestamp: &policy.TimestampTrust{}},
	} {
		note("base", base)
		v := reflect.ValueOf(base)
		for i := range v.NumField() {
			if v.Field(i).IsNil() {
				continue
			}
			part := v.Field(i).Elem()
			for j := range part.NumField() {
				changed := reflect.New(part.Type())
				changed.Elem().Set(part)
				switch f := changed.Elem().Field(j); f.Kind() {
				case reflect.String:
					f.SetString("x")
				case reflect.Bool:
					f.SetBool(true)
				case reflect.Slice:
					f.Set(reflect.ValueOf([]string{"x"}))
				default:
					require.Fail(t, "a member of a kind that this test does not know")
				}
				other := base
				reflect.ValueOf(&other).Elem().Field(i).Set(changed)
				note(v.Type().Field(i).Name+"."+part.Type().Field(j).Name+" of "+base.ID()[:6], other)
			}
		}
	}
}

// TestSignersOfTwoAuthorities: a signature by the signer of one authority and an
// attestation by that of another satisfy neither.
func TestSignersOfTwoAuthorities(t *testing.T) {
	p := one(t, keyless+scan)
	judge(t, p, evidence{claims: []claim.Claim{signature(release), attestation(mallory, vuln, `{"scanner":"trivy"}`)}}, policy.ErrAttestation, "")
}
