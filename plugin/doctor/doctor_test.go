// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/canary"
	"github.com/plombproject/plomb/plugin/containerd"
	"github.com/plombproject/plomb/plugin/judge"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/decision"
)

func node(t *testing.T) settings.Settings {
	t.Helper()
	dir := t.TempDir()
	s, err := settings.Read(func(name string) string {
		return map[string]string{
			"PLOMB_STATE": filepath.Join(dir, "state"), "PLOMB_POLICY": filepath.Join(dir, "policy"),
			"PLOMB_NODE_CONFIG": filepath.Join(dir, "node.yaml"), "PLOMB_SOCKET": filepath.Join(dir, "agent.sock"),
			"PLOMB_TRUSTED_ROOT": filepath.Join(dir, "no-root.json"), "PLOMB_HOSTS": filepath.Join(dir, "hosts"),
			"CONTAINERD_ADDRESS": filepath.Join(dir, "containerd.sock"),
		}[name]
	})
	require.NoError(t, err)
	for _, d := range []string{"state", "state/receipts", "policy"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, d), 0o700))
	}
	return s
}

// TestCanariesAreJudged: with the real judge over the real registry, unsigned
// ones are denied, signed ones allowed and those of another key denied, under a
// node without any policy or trusted root.
func TestCanariesAreJudged(t *testing.T) {
	s := node(t)
	r, err := serve(canary.Host)
	require.NoError(t, err)
	t.Cleanup(r.close)
	require.NoError(t, r.reachable(t.Context()))
	key, public, err := throwaway()
	require.NoError(t, err)
	other, _, err := throwaway()
	require.NoError(t, err)
	now := time.Now()
	require.NoError(t, canary.Write(s.Canary(), canary.Canary{Prefix: canary.Prefix(r.port), Key: public, Since: now.Add(-time.Second), Until: now.Add(time.Minute)}))
	j := &judge.Judge{Settings: s}
	for kind, want := range map[string]decision.Verdict{"unsigned": decision.Deny, "signed": decision.Allow, "forged": decision.Deny} {
		img, err := r.image("plomb-canary/run/" + kind)
		require.NoError(t, err)
		switch kind {
		case "signed":
			require.NoError(t, img.sign(key))
		case "forged":
			require.NoError(t, img.sign(other))
		}
		require.False(t, r.wasAsked(img))
		d := j.Decide(t.Context(), judge.Question{Name: img.name, Descriptor: img.manifest})
		require.Equal(t, want, d.Verdict, "%s: %s", kind, d.Line())
		require.True(t, r.wasAsked(img), "the registry has seen that somebody looked")
	}
	require.NoError(t, os.Remove(s.Canary()))
	img, err := r.image("plomb-canary/run/late")
	require.NoError(t, err)
	require.NoError(t, img.sign(key))
	d := j.Decide(t.Context(), judge.Question{Name: img.name, Descriptor: img.manifest})
	require.NotEqual(t, decision.Allow, d.Verdict, "the key is forgotten with the file")
}

func TestRegistryServesCanariesOnly(t *testing.T) {
	r, err := serve(canary.Host)
	require.NoError(t, err)
	t.Cleanup(r.close)
	img, err := r.image("plomb-canary/run/x")
	require.NoError(t, err)
	for path, want := range map[string]int{
		"/v2/": 200,
		"/v2/plomb-canary/run/x/manifests/canary":                             200,
		"/v2/plomb-canary/run/x/manifests/" + img.manifest.Digest.String():    200,
		"/v2/plomb-canary/run/x/blobs/" + img.manifest.Digest.String():        200,
		"/v2/plomb-canary/run/x/blobs/canary":                                 404,
		"/v2/plomb-canary/run/x/blobs/" + digest.FromString("x").String():     404,
		"/v2/plomb-canary/run/y/manifests/canary":                             404,
		"/v2/plomb-canary/run/x/referrers/" + img.manifest.Digest.String():    404,
		"/v2/plomb-canary/run/x/manifests/../../../../../../../../etc/passwd": 404,
		"/": 404, "/v2": 404, "/v2/x": 404,
	} {
		resp, err := http.Get("http://" + r.host + path)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode, "%s: %s", path, body)
	}
	resp, err := http.Post("http://"+r.host+"/v2/plomb-canary/run/x/blobs/uploads/", "", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
}

// TestAnswersOfContainerd is what a pull's error, and whether anybody looked for
// a signature, is taken for.
func TestAnswersOfContainerd(t *testing.T) {
	refused := status.Error(codes.Unknown, `image verifier bindir blocked pull of x with digest y for reason: verifier plomb-verifier rejected image (exit code 1): denied: no`)
	for name, c := range map[string]struct {
		err              error
		asked            bool
		unsigned, signed Status
	}{
		"pulled, and nobody asked":    {nil, false, Fail, Fail},
		"pulled, though asked":        {nil, true, Fail, Pass},
		"refused by plomb":            {refused, true, Pass, Fail},
		"refused without a look":      {refused, false, Fail, Fail},
		"refused by another":          {status.Error(codes.Unknown, "verifier cosign rejected image (exit code 1): no"), true, Fail, Fail},
		"another exit status":         {status.Error(codes.Unknown, "verifier plomb-verifier rejected image (exit code 2): no"), true, Fail, Fail},
		"cannot be run":               {status.Error(codes.Unknown, "failed to call verifier plomb-verifier"), false, Fail, Fail},
		"containerd is gone":          {status.Error(codes.Unavailable, "gone"), false, Unknown, Unknown},
		"containerd's client says so": {fmt.Errorf("dial: %w", errdefs.ErrUnavailable), false, Unknown, Unknown},
		"no CRI":                      {status.Error(codes.Unimplemented, "unknown service"), false, Unknown, Unknown},
		"interrupted":                 {context.Canceled, true, Unknown, Unknown},
		"interrupted, over a socket":  {status.Error(codes.DeadlineExceeded, "late"), true, Unknown, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			img := &image{repository: "r"}
			trial := &trial{proof: &proof{}, registry: &registry{asked: map[string]bool{"r": c.asked}}}
			u := trial.unsigned(t.Context(), "CRI", "u", img, c.err)
			require.Equal(t, c.unsigned, u.Status, u.Detail)
			s := trial.signed(t.Context(), "CRI", "s", img, c.err)
			require.Equal(t, c.signed, s.Status, s.Detail)
		})
	}
}

func TestAnswersAtCreate(t *testing.T) {
	on := &trial{proof: &proof{Options: Options{Settings: node(t)}}}
	for text, want := range map[string]Status{
		"": Fail,
		"failed to get NRI adjustment for container: plomb: image x refused: there is no verdict yet": Pass,
		`validation error: required plugin "plomb" not present`:                                       Fail,
		"failed to create 127.0.0.1:1/plomb-canary/x: no space left on device":                        Fail,
	} {
		var err error
		if text != "" {
			err = status.Error(codes.Unknown, text)
		}
		require.Equal(t, want, on.refused(t.Context(), err).Status, text)
	}
	require.Equal(t, Unknown, on.refused(t.Context(), status.Error(codes.Unavailable, "gone")).Status)
}

func TestConclusion(t *testing.T) {
	for want, statuses := range map[Verdict][]Status{
		Live:      {Pass, Warn, Skip, Pass},
		NotLive:   {Pass, Unknown, Fail, Pass},
		Undecided: {Pass, Warn, Unknown},
	} {
		var r Report
		for _, s := range statuses {
			r.Checks = append(r.Checks, Check{Status: s, Detail: string(s)})
		}
		r.conclude()
		require.Equal(t, want, r.Verdict)
		require.Equal(t, want == Live, r.Reason == "")
	}
}

// TestNodeChecks: the files of the node, one fault each.
func TestNodeChecks(t *testing.T) {
	pass := `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: all}
spec:
  images: [{glob: "**"}]
  authorities: [{static: {action: pass}}]
`
	for name, c := range map[string]struct {
		spoil  func(t *testing.T, s *settings.Settings)
		id     string
		status Status
		says   string
	}{
		"audit mode": {func(t *testing.T, s *settings.Settings) {
			require.NoError(t, admission.WriteMode(s.Mode(), admission.State{Mode: admission.Audit}))
		}, CheckMode, Fail, "audit mode"},
		"broken mode": {func(t *testing.T, s *settings.Settings) {
			require.NoError(t, os.WriteFile(s.Mode(), []byte("{"), 0o600))
		}, CheckMode, Warn, "counts as enforce"},
		"broken glass": {func(t *testing.T, s *settings.Settings) {
			require.NoError(t, admission.WriteBreakGlass(s.BreakGlass(), admission.BreakGlass{Reason: "fire", Since: time.Now().Add(-time.Minute), Until: time.Now().Add(time.Minute)}))
		}, CheckBreakGlass, Fail, "fire"},
		"no policy":      {func(*testing.T, *settings.Settings) {}, CheckPolicy, Warn, "there is no policy"},
		"no-match allow": {func(_ *testing.T, s *settings.Settings) { s.NoMatch = "allow" }, CheckPolicy, Warn, "PLOMB_NO_MATCH_POLICY is allow"},
		"static pass": {func(t *testing.T, s *settings.Settings) {
			require.NoError(t, os.WriteFile(filepath.Join(s.Policy, "p.yaml"), []byte(pass), 0o600))
		}, CheckPolicy, Warn, "images of any name"},
		"no receipts":  {func(t *testing.T, s *settings.Settings) { require.NoError(t, os.Remove(s.Receipts())) }, CheckReceipts, Warn, "no folder"},
		"no agent":     {func(*testing.T, *settings.Settings) {}, CheckAgent, Fail, "does not answer"},
		"no agent due": {func(_ *testing.T, s *settings.Settings) { s.Node.NRI.Off = true }, CheckAgent, Warn, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := node(t)
			c.spoil(t, &s)
			var r Report
			p := &proof{Options: Options{Settings: s, Progress: func(string) {}}, report: &r}
			p.node(t.Context())
			for _, check := range r.Checks {
				if check.ID == c.id && check.Status == c.status && strings.Contains(check.Detail, c.says) {
					return
				}
			}
			require.Fail(t, "not found", "%+v", r.Checks)
		})
	}
}

// TestNodeThatOnlyLooksOn: that containerd does not require the agent is the
// reason on no node but one that enforces, where plomb node install has it do so.
func TestNodeThatOnlyLooksOn(t *testing.T) {
	p := &proof{Options: Options{Settings: node(t)}, report: &Report{}}
	f := containerd.Finding{Setting: `plugins."io.containerd.nri.v1.nri".default_validator.enable`, Value: "false", At: containerd.AtCreate, Fatal: true}
	p.findings([]containerd.Finding{f})
	require.NoError(t, admission.WriteMode(p.Settings.Mode(), admission.State{Mode: admission.Audit, Since: time.Now()}))
	p.findings([]containerd.Finding{f})
	p.mode()
	require.Equal(t, Fail, p.report.Checks[0].Status)
	require.Equal(t, Warn, p.report.Checks[1].Status)
	require.Contains(t, p.report.Checks[1].Remedy, "plomb node mode enforce")
	p.report.Checks = p.report.Checks[1:]
	p.report.conclude()
	require.Equal(t, NotLive, p.report.Verdict)
	require.Contains(t, p.report.Reason, "audit mode")
	created := (&trial{proof: p}).refused(t.Context(), nil)
	require.Contains(t, created.Detail, "the node does not enforce")
	require.Empty(t, created.Remedy)
}

// TestOneProofAtATime: a second one waits, and gives up with its context.
func TestOneProofAtATime(t *testing.T) {
	p := &proof{Options: Options{Settings: node(t), Progress: func(string) {}}}
	unlock, err := p.lock(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan struct{})
	second := &proof{Options: Options{Settings: p.Settings, Progress: func(string) { close(waiting) }}}
	done := make(chan error)
	go func() { _, err := second.lock(ctx); done <- err }()
	<-waiting
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	unlock()
	again, err := p.lock(t.Context())
	require.NoError(t, err)
	again()
}

// TestNoContainerd: nothing is known, and nothing is left.
func TestNoContainerd(t *testing.T) {
	s := node(t)
	r, err := Prove(t.Context(), Options{Settings: s})
	require.NoError(t, err)
	require.NotEqual(t, Live, r.Verdict)
	require.NoFileExists(t, s.Canary())
}

func TestImages(t *testing.T) {
	a, err := newImage("127.0.0.1:1", "plomb-canary/a")
	require.NoError(t, err)
	b, err := newImage("127.0.0.1:1", "plomb-canary/a")
	require.NoError(t, err)
	require.NotEqual(t, a.manifest.Digest, b.manifest.Digest, "no verdict may be remembered of it")
	require.Equal(t, ocispec.MediaTypeImageManifest, a.manifest.MediaType)
	require.Equal(t, "127.0.0.1:1/plomb-canary/a:canary", a.name)
	archive, err := a.archive()
	require.NoError(t, err)
	require.NotEmpty(t, archive)
}

func TestLookup(t *testing.T) {
	get := lookup([]byte("A=1\x00PLOMB_STATE=/x=y\x00XPLOMB_POLICY=/z\x00"))
	require.Equal(t, "/x=y", get("PLOMB_STATE"))
	require.Empty(t, get("PLOMB_POLICY"))
	require.Empty(t, get(""))
}

func TestReasons(t *testing.T) {
	require.Equal(t, "denied: no", plombsReason(status.Error(codes.Unknown, "blocked: "+byPlomb+": denied: no")))
	require.Equal(t, "plain", plombsReason(errors.New("plain")))
}
