// SPDX-License-Identifier: Apache-2.0

package bindir_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/verifytest"
)

// policy puts a document into the node's folder.
func (n *node) policy(t *testing.T, name, doc string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(n.env["PLOMB_POLICY"], name), []byte(doc), 0o600))
}

// TestNamesThatAreAttacks: the image name comes from whoever starts a container.
// None of these admits what is not signed, reads another image, or gets out of
// the one line that is logged.
func TestNamesThatAreAttacks(t *testing.T) {
	n := newNode(t)
	good, evil := n.image(t, &verifytest.BundleOptions{}), n.image(t, nil)
	name := n.registry + "/app:v1"
	status, reason := n.call(t, name, good)
	require.Equal(t, 0, status, reason)
	for _, attack := range []string{
		name + "@" + good.String(), // the digest that is signed, for the one that would run
		n.registry + "/app@" + good.String(),
		"oci-layout:" + t.TempDir(),
		"-name", "--help", "-digest=" + good.String(),
		name + "\nallowed: " + name,
		name + "\x1b[2K",
		n.registry + "/../app:v1", n.registry + "/app:v1?x", n.registry + "/app:v1#x",
		"user:password@" + name, "http://" + name, " " + name, name + " ",
		strings.Repeat("a/", 5000) + "app",
	} {
		status, reason := n.call(t, attack, evil)
		require.Equal(t, 1, status, "%q: %s", attack, reason)
		require.NotContains(t, reason, "\x1b")
		require.False(t, strings.HasPrefix(reason, "allowed"), reason)
	}
}

// TestGoodNameWithAnotherDigest: the name carries the digest of a signed image,
// and it is another that would run.
func TestGoodNameWithAnotherDigest(t *testing.T) {
	n := newNode(t)
	good, other := n.image(t, &verifytest.BundleOptions{}), n.image(t, &verifytest.BundleOptions{Subject: "https://mallory.example/x"})
	status, reason := n.call(t, n.registry+"/app@"+good.String(), good)
	require.Equal(t, 0, status, reason)
	status, reason = n.call(t, n.registry+"/app@"+good.String(), other)
	require.Equal(t, 1, status)
	require.Contains(t, reason, "invalid image reference")
}

// TestDescriptorsAreNotBelieved: all that counts of the descriptor is its digest.
func TestDescriptorsAreNotBelieved(t *testing.T) {
	n := newNode(t)
	good, evil := n.image(t, &verifytest.BundleOptions{}), n.image(t, nil)
	args := func(dgst digest.Digest) []string {
		return []string{"-name", n.registry + "/app:v1", "-digest", dgst.String(), "-stdin-media-type", ocispec.MediaTypeDescriptor}
	}
	for _, rest := range []string{
		`"mediaType":"application/vnd.oci.image.manifest.v1+json"`, `"mediaType":"text/plain"`, `"size":-1`, `"size":9223372036854775807`,
		`"platform":{"os":"windows","architecture":"riscv64"}`, `"urls":["http://127.0.0.1:1/x"]`,
		`"data":"e30="`, `"annotations":{"vnd.docker.reference.type":"attestation-manifest"}`,
	} {
		status, reason := n.raw(t, args(good), strings.NewReader(`{"digest":"`+good.String()+`",`+rest+`}`))
		require.Equal(t, 0, status, "%s: %s", rest, reason)
		status, reason = n.raw(t, args(evil), strings.NewReader(`{"digest":"`+evil.String()+`",`+rest+`}`))
		require.Equal(t, 1, status, "%s: %s", rest, reason)
	}
}

// TestPolicyFoldersThatAreAttacks: what lands in the folder beside a policy
// refuses, or is no policy; none is passed over in silence and admits.
func TestPolicyFoldersThatAreAttacks(t *testing.T) {
	for name, c := range map[string]struct {
		file, doc string
		reason    string
	}{
		"unknown field":         {"b.yaml", strings.Replace(policyDocument, "images:", "imagez:", 1), "imagez"},
		"a field that is twice": {"b.yaml", policyDocument + "  images: []\n", "b.yaml"},
		"the name twice":        {"b.yaml", policyDocument, "demo"},
		"static fail beside it": {"b.yaml", "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: closed}\nspec:\n  images: [{glob: '**'}]\n  authorities: [{static: {action: fail, message: closed}}]\n", "closed"},
		"aliases without end":   {"b.yaml", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n", "b.yaml"},
		"huge":                  {"b.yaml", policyDocument + "# " + strings.Repeat("x", 17<<20), "b.yaml"},
		"binary":                {"b.yaml", "\x00\x01\x02", "b.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			dgst := n.image(t, &verifytest.BundleOptions{})
			status, reason := n.call(t, n.registry+"/app:v1", dgst)
			require.Equal(t, 0, status, reason)
			n.policy(t, c.file, c.doc)
			status, reason = n.call(t, n.registry+"/app:v1", dgst)
			require.Equal(t, 1, status, reason)
			require.Contains(t, reason, c.reason)
		})
	}
}

// TestTrustedRootsOfANode: a root that is another, half written, or none.
func TestTrustedRootsOfANode(t *testing.T) {
	n := newNode(t)
	dgst := n.image(t, &verifytest.BundleOptions{})
	name, file := n.registry+"/app:v1", n.env["PLOMB_TRUSTED_ROOT"]
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	for what, root := range map[string][]byte{
		"another":      verifytest.NewSigstore(t).TrustedRoot(t, verifytest.RootOptions{}),
		"half written": good[:len(good)/2],
		"empty":        nil,
		"twice":        append(append([]byte{}, good...), good...),
	} {
		require.NoError(t, os.WriteFile(file, root, 0o600))
		status, reason := n.call(t, name, dgst)
		require.Equal(t, 1, status, "%s: %s", what, reason)
	}
	require.NoError(t, os.WriteFile(file, good, 0o600))
	status, reason := n.call(t, name, dgst)
	require.Equal(t, 0, status, reason)
}

// TestSlowRegistriesLeaveTimeForAReason: containerd kills a verifier that is not
// done, and then nobody knows why; the verifier gives up before.
func TestSlowRegistriesLeaveTimeForAReason(t *testing.T) {
	require.Less(t, settings.DefaultTimeout, 10*time.Second)
	n := newNode(t)
	n.env["PLOMB_TIMEOUT"] = "400ms"
	dgst := n.image(t, nil)
	n.store.Delay(150 * time.Millisecond) // each answer comes, and all of them too late
	start := time.Now()
	status, reason := n.call(t, n.registry+"/app:v1", dgst)
	require.Equal(t, 1, status)
	require.Less(t, time.Since(start), 2*time.Second)
	require.Contains(t, reason, "undecided")
}
