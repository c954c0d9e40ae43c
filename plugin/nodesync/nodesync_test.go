// SPDX-License-Identifier: Apache-2.0

package nodesync_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/nodesync"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/policy"
)

// imagePolicy is one whole policy of a name.
func imagePolicy(name, glob string) string {
	return fmt.Sprintf(`apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: %s
spec:
  images:
  - glob: %s
  authorities:
  - static:
      action: pass
`, name, glob)
}

// A stage is a delivery, mounted as Kubernetes does, and the host it is for.
type stage struct {
	*testing.T
	from, host string
	sync       *nodesync.Sync
	turns      int
}

func newStage(t *testing.T) *stage {
	s := &stage{T: t, from: t.TempDir(), host: t.TempDir()}
	root, err := os.OpenRoot(s.from)
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	set, err := settings.Read(func(name string) string {
		return map[string]string{
			"PLOMB_POLICY":       filepath.Join(s.host, "etc/plomb/policy"),
			"PLOMB_TRUSTED_ROOT": filepath.Join(s.host, "etc/plomb/trusted_root.json"),
			"PLOMB_NODE_CONFIG":  filepath.Join(s.host, "etc/plomb/node.yaml"),
		}[name]
	})
	require.NoError(t, err)
	s.sync = &nodesync.Sync{From: root, Settings: set, Now: time.Now}
	return s
}

// deliver mounts a ConfigMap as kubelet does: files are links into ..data,
// which is a link that is turned.
func (s *stage) deliver(volume string, files map[string]string) {
	dir := filepath.Join(s.from, volume)
	s.turns++
	generation := fmt.Sprintf("..%d", s.turns)
	require.NoError(s, os.MkdirAll(filepath.Join(dir, generation), 0o755))
	old, err := filepath.Glob(filepath.Join(dir, "[^.]*"))
	require.NoError(s, err)
	for _, path := range old {
		require.NoError(s, os.Remove(path))
	}
	for name, data := range files {
		require.NoError(s, os.WriteFile(filepath.Join(dir, generation, name), []byte(data), 0o644))
		require.NoError(s, os.Symlink("..data/"+name, filepath.Join(dir, name)))
	}
	require.NoError(s, os.Symlink(generation, filepath.Join(dir, "..next")))
	require.NoError(s, os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")))
}

func (s *stage) onHost(name string) string {
	data, err := os.ReadFile(filepath.Join(s.host, name))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	require.NoError(s, err)
	return string(data)
}

func (s *stage) inForce() []string {
	set, err := policy.Load(s.sync.Settings.Policy)
	require.NoError(s, err)
	var names []string
	for _, p := range set.Policies() {
		names = append(names, p.Name)
	}
	return names
}

func TestPoliciesBecomeOneFile(t *testing.T) {
	s := newStage(t)
	s.deliver("policy", map[string]string{
		"a.yaml": imagePolicy("a", "registry.example/a/**"),
		"b.yml":  imagePolicy("b", "registry.example/b/**") + "---\n" + imagePolicy("c", "registry.example/c/**"),
		"d.json": `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "d"},
			"spec": {"images": [{"glob": "registry.example/d/**"}], "authorities": [{"static": {"action": "pass"}}]}}`,
	})
	changes, err := s.sync.Once()
	require.NoError(t, err)
	require.Len(t, changes, 1)
	require.Equal(t, []string{"a", "b", "c", "d"}, s.inForce())
	entries, err := os.ReadDir(s.sync.Settings.Policy)
	require.NoError(t, err)
	require.Len(t, entries, 1)

	changes, err = s.sync.Once()
	require.NoError(t, err)
	require.Empty(t, changes, "nothing is written twice")
}

func TestNodesOwnPoliciesStay(t *testing.T) {
	s := newStage(t)
	require.NoError(t, os.MkdirAll(s.sync.Settings.Policy, 0o755))
	own := filepath.Join(s.sync.Settings.Policy, "base.yaml")
	require.NoError(t, os.WriteFile(own, []byte(imagePolicy("base", "registry.k8s.io/**")), 0o644))
	s.deliver("policy", map[string]string{"a.yaml": imagePolicy("a", "registry.example/a/**")})
	_, err := s.sync.Once()
	require.NoError(t, err)
	require.Equal(t, []string{"base", "a"}, s.inForce())

	// One name twice would make the whole folder unreadable, and lock the node.
	s.deliver("policy", map[string]string{"a.yaml": imagePolicy("base", "registry.example/a/**")})
	_, err = s.sync.Once()
	require.ErrorIs(t, err, nodesync.ErrRefused)
	require.ErrorContains(t, err, `"base" is already in`)
	require.Equal(t, []string{"base", "a"}, s.inForce())
}

// Whatever is delivered wrong, what was in force stays, byte for byte.
func TestRefusedDeliveriesChangeNothing(t *testing.T) {
	sound := imagePolicy("a", "registry.example/a/**")
	for name, c := range map[string]struct {
		volume string
		files  map[string]string
		says   string
	}{
		"an empty ConfigMap":        {"policy", map[string]string{}, "would refuse every image"},
		"only comments":             {"policy", map[string]string{"a.yaml": "# nothing\n"}, "would refuse every image"},
		"half a file":               {"policy", map[string]string{"a.yaml": sound[:len(sound)/2]}, "a.yaml:"},
		"a misspelt field":          {"policy", map[string]string{"a.yaml": strings.Replace(sound, "authorities", "authoritys", 1)}, "authoritys"},
		"a misspelt action":         {"policy", map[string]string{"a.yaml": strings.Replace(sound, "pass", "past", 1)}, "past"},
		"a sound and a broken file": {"policy", map[string]string{"a.yaml": sound, "b.yaml": "kind: ["}, "b.yaml"},
		"one name twice":            {"policy", map[string]string{"a.yaml": sound, "b.yaml": sound}, "rename one"},
		"a name that is not read":   {"policy", map[string]string{"a.yaml": sound, "b.yaml.disabled": sound}, "would not be in force"},
		"a document that ends early, to hide the next file": {
			"policy", map[string]string{"a.yaml": sound + "...\n", "b.yaml": sound}, "",
		},
		"a file that swallows the next": {
			"policy", map[string]string{"a.yaml": sound + "# |", "b.yaml": strings.Replace(sound, "name: a", "name: '", 1)}, "",
		},
		"an empty trusted root":   {"trust", map[string]string{"trusted_root.json": " \n"}, "is empty"},
		"a broken trusted root":   {"trust", map[string]string{"trusted_root.json": `{"mediaType": "x"`}, "trusted_root.json"},
		"a root that trusts none": {"trust", map[string]string{"trusted_root.json": `{}`}, "trusted_root.json"},
		"a misspelt node.yaml":    {"node", map[string]string{"node.yaml": "apiVersion: plombproject.github.io/node/v1\nmetrix: off\n"}, "metrix"},
		"metrics for everybody":   {"node", map[string]string{"node.yaml": "metrics: 0.0.0.0:9469\n"}, "loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.deliver("policy", map[string]string{"a.yaml": sound})
			_, err := s.sync.Once()
			require.NoError(t, err)
			before := s.onHost("etc/plomb/policy/kubernetes.yaml")

			s.deliver(c.volume, c.files)
			changes, err := s.sync.Once()
			require.ErrorIs(t, err, nodesync.ErrRefused)
			require.ErrorContains(t, err, c.says)
			require.Empty(t, changes)
			require.Equal(t, before, s.onHost("etc/plomb/policy/kubernetes.yaml"))
			require.Empty(t, s.onHost("etc/plomb/trusted_root.json"))
			require.Empty(t, s.onHost("etc/plomb/node.yaml"))
		})
	}
}

// A ConfigMap that is taken away does not take the policy away.
func TestWhatIsNotDeliveredIsLeftAlone(t *testing.T) {
	s := newStage(t)
	s.deliver("policy", map[string]string{"a.yaml": imagePolicy("a", "registry.example/a/**")})
	_, err := s.sync.Once()
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(s.from, "policy")))
	changes, err := s.sync.Once()
	require.NoError(t, err)
	require.Empty(t, changes)
	require.Equal(t, []string{"a"}, s.inForce())
}

// A volume cannot name files of the node by links.
func TestLinksOutOfTheDeliveryAreRefused(t *testing.T) {
	s := newStage(t)
	secret := filepath.Join(s.host, "secret.yaml")
	require.NoError(t, os.WriteFile(secret, []byte(imagePolicy("stolen", "**")), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(s.from, "policy"), 0o755))
	require.NoError(t, os.Symlink(secret, filepath.Join(s.from, "policy/a.yaml")))
	_, err := s.sync.Once()
	require.ErrorIs(t, err, nodesync.ErrRefused)
	require.Empty(t, s.onHost("etc/plomb/policy/kubernetes.yaml"))
}

func TestStrictRefusesRisks(t *testing.T) {
	s := newStage(t)
	s.deliver("policy", map[string]string{"a.yaml": imagePolicy("everything", `"**"`)})
	s.sync.Strict = true
	_, err := s.sync.Once()
	require.ErrorIs(t, err, nodesync.ErrRefused)
	s.sync.Strict = false
	_, err = s.sync.Once()
	require.NoError(t, err)
}

func TestPlaceNeverWritesOverAProgram(t *testing.T) {
	dir := t.TempDir()
	programs := func(v string) []nodesync.Program {
		return []nodesync.Program{{Name: "plomb", Data: []byte("plomb " + v)}, {Name: "plomb-verifier", Data: []byte("verifier " + v)}}
	}
	var folders []string
	for _, v := range []string{"1", "2", "3"} {
		folder, err := nodesync.Place(dir, programs(v))
		require.NoError(t, err)
		require.NotContains(t, folders, folder)
		folders = append(folders, folder)
		require.NoError(t, nodesync.Use(dir, folder))
	}
	now, err := os.ReadFile(filepath.Join(dir, "current/plomb"))
	require.NoError(t, err)
	require.Equal(t, "plomb 3", string(now))
	require.NoDirExists(t, folders[0])
	require.DirExists(t, folders[1], "the agent may still run from there")

	// A program that was cut short or is no program is mended.
	require.NoError(t, os.Truncate(filepath.Join(folders[2], "plomb"), 3))
	require.NoError(t, os.Chmod(filepath.Join(folders[2], "plomb-verifier"), 0o600))
	again, err := nodesync.Place(dir, programs("3"))
	require.NoError(t, err)
	require.Equal(t, folders[2], again)
	now, err = os.ReadFile(filepath.Join(again, "plomb"))
	require.NoError(t, err)
	require.Equal(t, "plomb 3", string(now))
	info, err := os.Stat(filepath.Join(again, "plomb-verifier"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode().Perm())
	require.NoError(t, nodesync.Use(dir, again))
	require.DirExists(t, folders[1], "a second run forgets nothing")
}

func TestByHostPassesOnlyPlombsEnvironment(t *testing.T) {
	line := nodesync.ByHost([]string{"PLOMB_STATE=/var/lib/plomb", "AWS_SECRET_ACCESS_KEY=x", "LD_PRELOAD=/x.so"}, "/opt/plomb/x/plomb", "node", "install", "--mode", "audit")
	text := strings.Join(line, " ")
	require.Contains(t, text, "--setenv=PLOMB_STATE=/var/lib/plomb")
	require.NotContains(t, text, "AWS")
	require.NotContains(t, text, "LD_PRELOAD")
	require.True(t, strings.HasSuffix(text, "-- /opt/plomb/x/plomb node install --mode audit"), text)
}

type agent struct {
	status control.Status
	err    error
}

func (a agent) Status(context.Context) (control.Status, error) { return a.status, a.err }

func TestReady(t *testing.T) {
	s := newStage(t)
	s.deliver("policy", map[string]string{"a.yaml": imagePolicy("a", "registry.example/a/**")})
	want := nodesync.Want{Version: "v1", Mode: admission.Enforce}
	good := agent{status: control.Status{Version: "v1", Mode: admission.State{Mode: admission.Enforce}, SelfTest: &control.SelfTest{Effective: true}}}
	require.ErrorIs(t, s.sync.Ready(t.Context(), good, want), nodesync.ErrNotReady, "nothing is delivered yet")
	_, err := s.sync.Once()
	require.NoError(t, err)
	require.NoError(t, s.sync.Ready(t.Context(), good, want))
	// Of a broken ConfigMap all nodes have the last good one in force. Were they
	// not ready, a rollout would begin all of them at once.
	s.deliver("policy", map[string]string{"a.yaml": "kind: ["})
	require.NoError(t, s.sync.Ready(t.Context(), good, want))
	for name, a := range map[string]agent{
		"no agent":             {err: control.ErrAgent},
		"an old agent":         {status: control.Status{Version: "v0"}},
		"a node that reverted": {status: control.Status{Version: "v1", Mode: admission.State{Mode: admission.Audit}}},
		"a bad policy":         {status: control.Status{Version: "v1", Mode: admission.State{Mode: admission.Enforce}, Policy: control.Loaded{Error: "x"}}},
		"a bad root":           {status: control.Status{Version: "v1", Mode: admission.State{Mode: admission.Enforce}, Trust: control.Loaded{Error: "x"}}},
		"no effect":            {status: control.Status{Version: "v1", Mode: admission.State{Mode: admission.Enforce}, SelfTest: &control.SelfTest{}}},
	} {
		require.ErrorIs(t, s.sync.Ready(t.Context(), a, want), nodesync.ErrNotReady, name)
	}
}

func TestMetricsAreTheAgents(t *testing.T) {
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "plomb_enforcement_effective 1")
	}))
	var sound atomic.Bool
	h := nodesync.Metrics(strings.TrimPrefix(agent.URL, "http://"), &sound)
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	require.Contains(t, get("/metrics").Body.String(), "plomb_enforcement_effective 1\n")
	require.Contains(t, get("/metrics").Body.String(), "plomb_delivery_sound 0\n")
	require.Equal(t, http.StatusNotFound, get("/debug/pprof/").Code)
	agent.Close()
	require.Equal(t, http.StatusBadGateway, get("/metrics").Code)
}
