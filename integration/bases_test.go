// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/tamper"
)

// withPolicy is the settings folder of a build, with policies in it.
func withPolicy(t *testing.T, documents ...string) string {
	t.Helper()
	dir := settings(t, "", false)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "policy"), 0o700))
	for i, doc := range documents {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "policy", string(rune('a'+i))+".yaml"), []byte(doc), 0o600))
	}
	return dir
}

// signedOnly is the stand's own policy; busyboxPasses lets the base of most
// tests through, which nobody signs.
func signedOnly(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(policyFor(t, shared.Registry+"/it/**"), "policy.yaml"))
	require.NoError(t, err)
	return string(data)
}

func busyboxPasses() string {
	return "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: bases}\nspec:\n  images: [{glob: \"" +
		shared.Registry + "/base/**\"}]\n  authorities: [{static: {action: pass}}]\n"
}

// With a policy in the build context, every image that the build uses has to
// satisfy it before anything runs.
func TestBaseImagesAreChecked(t *testing.T) {
	signed := signedImage(t, "signed")
	unsigned := func() string {
		b := small(t, "unsigned")
		b.args = []string{"--build-arg", "PLOMB_SIGN=off"}
		return b.must(t).ref
	}()
	stranger := func() string {
		b := small(t, "stranger")
		b.token = token(t, "--repository", "somebody/else")
		return b.must(t).ref
	}()

	tests := map[string]struct {
		dockerfile string
		documents  []string
		says       []string // nothing: the build works
	}{
		"signed base": {
			dockerfile: "FROM " + signed + "\nRUN true\n",
		},
		"unsigned base": {
			dockerfile: "FROM " + unsigned + "\nRUN true\n",
			says:       []string{">>> FROM " + unsigned, "base image refused", "unsigned: no signature bundle", "policy stand (policy/a.yaml:"},
		},
		"base of a stranger": {
			dockerfile: "FROM " + stranger + "\nRUN true\n",
			says:       []string{">>> FROM " + stranger, "signed by somebody else: " + otherSigner},
		},
		"unsigned image of another stage": {
			dockerfile: "FROM " + unsigned + " AS other\nRUN echo evil > /evil\nFROM " + signed + "\nCOPY --from=other /evil /\n",
			says:       []string{">>> FROM " + unsigned},
		},
		"COPY from an unsigned image": {
			dockerfile: "FROM " + signed + "\nCOPY --from=" + unsigned + " /etc/name /\n",
			says:       []string{"base image refused", unsigned},
		},
		"mount of an unsigned image": {
			dockerfile: "FROM " + signed + "\nRUN --mount=type=bind,from=" + unsigned + ",target=/mnt cp /mnt/etc/name /\n",
			says:       []string{"base image refused", unsigned},
		},
		"a stage that is not needed does not count": {
			dockerfile: "FROM " + unsigned + " AS idle\nRUN false\nFROM " + signed + "\nRUN true\n",
		},
		"no policy for the image": {
			dockerfile: "FROM " + strings.Replace(signed, "/it/", "/elsewhere/", 1) + "\n",
			says:       []string{"elsewhere"},
		},
		"broken policy": {
			dockerfile: "FROM " + signed + "\n",
			documents:  []string{"kind: ClusterImagePolicy\napiVersion: policy.sigstore.dev/v1beta1\nmetadata: {name: x}\nspec: {imagse: []}\n"},
			says:       []string{"policy/a.yaml", "imagse"},
		},
		"empty policy folder": {
			dockerfile: "FROM " + signed + "\n",
			documents:  []string{"# nothing in it\n"},
			says:       []string{"base image refused", "policy"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if tc.documents == nil {
				tc.documents = []string{signedOnly(t), busyboxPasses()}
			}
			o := build{dockerfile: tc.dockerfile, settings: withPolicy(t, tc.documents...)}.run(t)
			if tc.says == nil {
				require.NoError(t, o.err, o.log)
				return
			}
			require.Error(t, o.err, o.log)
			for _, want := range tc.says {
				require.Contains(t, o.log, want)
			}
			r, tag := dissect.Registry(t, o.ref)
			_, err := r.Manifest(t.Context(), tag)
			require.ErrorIs(t, err, tamper.ErrNotFound)
		})
	}
}
