// SPDX-License-Identifier: Apache-2.0

package judge_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/canary"
	"github.com/plombproject/plomb/plugin/judge"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/verifytest"
)

const pass = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: pass}
spec:
  images: [{glob: "127.0.0.1:*/**"}]
  authorities: [{static: {action: pass}}]
`

func newJudge(t *testing.T) *judge.Judge {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(pass), 0o600))
	return &judge.Judge{Settings: settings.Settings{Policy: dir, NoMatch: policy.NoMatchDeny, State: t.TempDir()}}
}

func decide(t *testing.T, j *judge.Judge, name string, dgst digest.Digest) *decision.Decision {
	t.Helper()
	return j.Decide(t.Context(), judge.Question{Name: name, Descriptor: ocispec.Descriptor{Digest: dgst}})
}

func TestDecides(t *testing.T) {
	j := newJudge(t)
	x := digest.FromString("x")
	require.Equal(t, decision.Allow, decide(t, j, "127.0.0.1:1/app:v1", x).Verdict)
	require.NotEqual(t, decision.Allow, decide(t, j, "other.example/app:v1", x).Verdict, "no policy is about it")
	require.NotEqual(t, decision.Allow, decide(t, j, "app:v1", x).Verdict, "containerd would read it as another name")

	j.Load = func() (*policy.Set, error) { return nil, errors.New("broken") }
	d := decide(t, j, "127.0.0.1:1/app:v1", x)
	require.Equal(t, decision.Undecided, d.Verdict)
	require.Contains(t, d.Reason, "broken")
}

// While a proof of enforcement runs, its names are judged by its key, whatever the
// node's policies say, and all others as ever.
func TestCanary(t *testing.T) {
	j, images := newJudge(t), verifytest.NewStore()
	host := images.Serve(t)
	key := verifytest.NewKey(t, "p256")
	image := func(bundle func([]provenance.Subject) []byte) digest.Digest {
		return images.Image(t, verifytest.ImageOptions{
			Platforms: []string{platforms.Format(platforms.Normalize(platforms.DefaultSpec()))}, Bundle: bundle,
		}).Index
	}
	unsigned := image(nil)
	signed := image(func(subjects []provenance.Subject) []byte {
		return verifytest.NewSigstore(t).Bundle(t, verifytest.Statement(t, subjects), verifytest.BundleOptions{Key: key, NoLogEntry: true, NoTimestamp: true})
	})
	name := host + canary.Folder + "app:v1"
	require.Equal(t, decision.Allow, decide(t, j, name, unsigned).Verdict, "by the node's policy")

	c := canary.Canary{Prefix: host + canary.Folder, Key: string(verifytest.PublicPEM(t, key)), Since: time.Now().Add(-time.Second), Until: time.Now().Add(time.Minute)}
	require.NoError(t, canary.Write(j.Settings.Canary(), c))
	require.Equal(t, decision.Deny, decide(t, j, name, unsigned).Verdict)
	require.Equal(t, decision.Allow, decide(t, j, name, signed).Verdict)
	require.Equal(t, decision.Allow, decide(t, j, host+"/app:v1", unsigned).Verdict, "another name")

	require.NoError(t, os.Chmod(j.Settings.Canary(), 0o666))
	require.NotEqual(t, decision.Allow, decide(t, j, name, signed).Verdict, "anybody could have written it")
	require.Equal(t, decision.Allow, decide(t, j, host+"/app:v1", unsigned).Verdict)
}

// Credentials are asked for by the image, when a registry is.
func TestCredentials(t *testing.T) {
	j := newJudge(t)
	var asked []string
	j.Credentials = func(_ context.Context, image string) func(string) (string, string, error) {
		asked = append(asked, image)
		return func(string) (string, string, error) { return "", "", nil }
	}
	decide(t, j, "127.0.0.1:1/app:v1", digest.FromString("x"))
	require.Equal(t, []string{"127.0.0.1:1/app:v1"}, asked)
}
