// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"context"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy"
)

// signers are keys that have signed an image.
type signers []string

func (s signers) Claims(t policy.Trust) []claim.Claim {
	var claims []claim.Claim
	for _, key := range s {
		if t.Key != nil && strings.Contains(t.Key.PEM, key) {
			block, _ := pem.Decode([]byte(key))
			claims = append(claims, claim.Claim{
				Kind: claim.Signature, Format: claim.Legacy, Signer: claim.Signer{Key: digest.FromBytes(block.Bytes)},
				Names: []string{"registry.example/any:v1"},
			})
		}
	}
	return claims
}

func (signers) Config(context.Context) ([]byte, error) { return nil, policy.ErrUnsupported }
func (signers) Byproducts(context.Context, claim.Claim, string) ([][]byte, error) {
	return nil, policy.ErrUnsupported
}
func (signers) Material(context.Context, string, digest.Digest, string) error {
	return policy.ErrUnsupported
}

// demands are what a rule may ask for in these tests: nil rejects, none admits
// everything, else all the keys.
type demands []int

func (d demands) admits(keys []string, by signers) bool {
	if d == nil {
		return false
	}
	return !slices.ContainsFunc(d, func(i int) bool { return !slices.Contains(by, keys[i]) })
}

func choice(r *rand.Rand) demands {
	return []demands{nil, {}, {0}, {1}, {0, 1}}[r.IntN(5)]
}

// matching are the imported policies about an image; none refuses it.
func matching(set *policy.Set, name string) (policy.Case, []policy.Policy) {
	dgst := digest.FromString("image")
	if _, d, ok := strings.Cut(name, "@"); ok {
		dgst = digest.Digest(d)
	}
	policies, err := set.Select(name, dgst)
	if err != nil {
		return policy.Case{}, nil
	}
	return policy.Case{Name: name, Digest: dgst, Manifest: dgst}, policies
}

// imported is the verdict of imported policies.
func imported(c policy.Case, policies []policy.Policy, by signers) bool {
	for i := range policies {
		if !policies[i].Judge(context.Background(), c, by).Satisfied() {
			return false
		}
	}
	return len(policies) > 0
}

var (
	hosts = []string{"a.example", "b.a.example", "a.example:5000", "localhost", "docker.io"}
	paths = []string{"x", "x/y", "x/y/z", "xx", "library/x"}
	ends  = []string{":v1", ":v2", ":latest", "@sha256:" + strings.Repeat("ab", 32)}
)

// The policies of random policy.jsons that can be imported say what the most
// specific scope says.
func TestContainersPolicyAgainstLongestMatch(t *testing.T) {
	keys := []string{newKey(t), newKey(t)}
	scopes := []string{"", "*.example", "*.a.example"}
	for _, h := range hosts {
		scopes = append(scopes, h)
		for _, p := range paths {
			scopes = append(scopes, h+"/"+p, h+"/"+p+ends[0], h+"/"+p+ends[3])
		}
	}
	requirements := func(d demands) string {
		if d == nil {
			return `[{"type":"reject"}]`
		}
		list := []string{`{"type":"insecureAcceptAnything"}`}
		for _, k := range d {
			list = append(list, sigstore(t, map[string]any{"keyData": b64(keys[k]), "signedIdentity": map[string]any{"type": "exactRepository", "dockerRepository": "registry.example/any"}}))
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	r := rand.New(rand.NewPCG(1, 2))
	accepted, refused := 0, 0
	for range 80 {
		rules := map[string]demands{}
		var docker []string
		for range 1 + r.IntN(4) {
			scope, d := scopes[r.IntN(len(scopes))], choice(r)
			if _, ok := rules[scope]; !ok {
				rules[scope] = d
				docker = append(docker, fmt.Sprintf("%q:%s", scope, requirements(d)))
			}
		}
		fallback := choice(r)
		text := fmt.Sprintf(`{"default":%s,"transports":{"docker":{%s}}}`, requirements(fallback), strings.Join(docker, ","))
		res, err := ContainersPolicy(Source{Name: "policy.json", Data: []byte(text)})
		if err != nil {
			require.ErrorIs(t, err, ErrInexpressible)
			refused++
			continue
		}
		accepted++
		compare(t, res, keys, func(name string) demands { return longest(rules, fallback, name) })
	}
	require.Greater(t, accepted, 20)
	require.Greater(t, refused, 5)
}

// longest finds the rule of containers-policy.json(5) for a full name.
func longest(rules map[string]demands, fallback demands, name string) demands {
	host, _, _ := strings.Cut(name, "/")
	candidates := []string{name}
	repository := strings.TrimSuffix(name, name[strings.LastIndexAny(strings.Replace(name, "@sha256:", "@sha256.", 1), ":@"):])
	for p := repository; p != host; p = p[:strings.LastIndexByte(p, '/')] {
		candidates = append(candidates, p)
	}
	candidates = append(candidates, host)
	bare, _, _ := strings.Cut(host, ":")
	for _, rest, ok := strings.Cut(bare, "."); ok; _, rest, ok = strings.Cut(rest, ".") {
		candidates = append(candidates, "*."+rest)
	}
	for _, c := range append(candidates, "") {
		if d, ok := rules[c]; ok {
			return d
		}
	}
	return fallback
}

// compare asks about many images and signers.
func compare(t *testing.T, res *Result, keys []string, want func(name string) demands) {
	t.Helper()
	set, err := policy.FromFiles("imported", []policy.File{{Name: "policy.yaml", Data: res.Policy}})
	require.NoError(t, err)
	for _, h := range hosts {
		for _, p := range paths {
			for _, e := range ends {
				name := h + "/" + p + e
				if h == "docker.io" && !strings.Contains(p, "/") {
					continue // expanded to docker.io/library
				}
				c, policies := matching(set, name)
				for _, by := range []signers{nil, {keys[0]}, {keys[1]}, {keys[0], keys[1]}} {
					if got, want := imported(c, policies, by), want(name).admits(keys, by); got != want {
						t.Fatalf("%s signed by %d keys: %t, want %t\n%s", name, len(by), got, want, res.Policy)
					}
				}
			}
		}
	}
}

// The same for Talos, where the first rule wins.
func TestTalosAgainstFirstMatch(t *testing.T) {
	keys := []string{newKey(t), newKey(t)}
	patterns := []string{"*", "a.example/*", "a.example/x", "a.example/x*", "*/x/y", "docker.io/*", "*.example/*", "localhost/x/*", "b.a.example/xx"}
	r := rand.New(rand.NewPCG(3, 4))
	accepted, refused := 0, 0
	for range 80 {
		type rule struct {
			pattern string
			demands demands
		}
		var rules []rule
		text := "apiVersion: v1alpha1\nkind: ImageVerificationConfig\nrules:\n"
		for range 1 + r.IntN(4) {
			d := []demands{nil, {}, {0}, {1}}[r.IntN(4)]
			p := patterns[r.IntN(len(patterns))]
			rules = append(rules, rule{p, d})
			switch {
			case d == nil:
				text += fmt.Sprintf("- {image: %q, deny: true}\n", p)
			case len(d) == 0:
				text += fmt.Sprintf("- {image: %q, skip: true}\n", p)
			default:
				text += fmt.Sprintf("- {image: %q, publicKey: {certificate: %q}}\n", p, keys[d[0]])
			}
		}
		res, err := Talos(Source{Name: "talos.yaml", Data: []byte(text)})
		if err != nil {
			require.ErrorIs(t, err, ErrInexpressible)
			refused++
			continue
		}
		accepted++
		compare(t, res, keys, func(name string) demands {
			repository, _, _ := strings.Cut(name, "@")
			if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
				repository = repository[:i]
			}
			for _, r := range rules {
				if overlap(strings.ReplaceAll(r.pattern, "*", "**"), repository) {
					return r.demands
				}
			}
			return demands{}
		})
	}
	require.Greater(t, accepted, 20)
	require.Greater(t, refused, 5)
}
