// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kubernetes

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy"
)

// What is checked in is what the chart renders, and all of it conforms.
func TestManifestsAreUpToDate(t *testing.T) {
	out, err := exec.Command(repository+"/hack/manifests", "--check").CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// Each promise of docs/kubernetes.md about what runs on the nodes, for every
// values file.
func TestPodsHaveNoMoreThanTheyNeed(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(chart, "ci", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			rendered, err := helm(path)
			require.NoError(t, err)
			all := objects(t, rendered)
			for _, kind := range []string{"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Secret"} {
				require.Empty(t, ofKind(all, kind), "the pods ask nothing of the API server")
			}
			sets := ofKind(all, "DaemonSet")
			require.NotEmpty(t, sets)
			for _, set := range sets {
				checkPod(t, set.Spec.Template.Spec)
			}
		})
	}
}

func checkPod(t *testing.T, p pod) {
	t.Helper()
	require.Equal(t, "system-node-critical", p.PriorityClassName)
	require.True(t, p.HostNetwork, "it starts where the network plugin does not")
	require.False(t, p.HostPID)
	require.False(t, p.HostIPC)
	require.NotNil(t, p.AutomountServiceAccountToken)
	require.False(t, *p.AutomountServiceAccountToken)
	require.Equal(t, []map[string]string{{"operator": "Exists"}}, p.Tolerations, "every taint")
	hostPaths := map[string]string{}
	for _, v := range p.Volumes {
		if v.HostPath != nil {
			hostPaths[v.Name] = v.HostPath.Path
		}
	}
	require.Equal(t, map[string]string{"host": "/", "etc": "/etc/plomb", "run": "/run/plomb"}, hostPaths)

	require.Len(t, p.InitContainers, 1)
	require.Len(t, p.Containers, 1)
	install, deliver := p.InitContainers[0], p.Containers[0]
	require.Equal(t, []string{"SYS_CHROOT"}, install.SecurityContext.Capabilities.Add)
	require.Empty(t, deliver.SecurityContext.Capabilities.Add)
	for _, m := range deliver.VolumeMounts {
		require.NotEqual(t, "host", m.Name, "what runs for long does not have the host's file system")
	}
	for _, c := range []container{install, deliver} {
		require.Regexp(t, `^[^@ ]+@sha256:[0-9a-f]{64}$`, c.Image, "by digest, and by no tag")
		require.Equal(t, []string{"/plomb"}, c.Command, "no shell")
		s := c.SecurityContext
		require.Equal(t, []string{"ALL"}, s.Capabilities.Drop)
		for name, value := range map[string]*bool{"privileged": s.Privileged, "allowPrivilegeEscalation": s.AllowPrivilegeEscalation} {
			require.NotNil(t, value, name)
			require.False(t, *value, name)
		}
		require.NotNil(t, s.ReadOnlyRootFilesystem)
		require.True(t, *s.ReadOnlyRootFilesystem)
		require.Equal(t, "RuntimeDefault", s.SeccompProfile.Type)
		require.NotEmpty(t, c.Resources.Limits["memory"])
		// A port would keep two pods of one node apart, and the rollout would wait
		// for ever.
		require.Empty(t, c.Ports)
		for _, m := range c.VolumeMounts {
			if strings.HasPrefix(m.MountPath, "/delivery") {
				require.True(t, m.ReadOnly, m.MountPath)
			}
		}
	}
	require.NotNil(t, deliver.Liveness)
	if !slices.Contains(install.Args, "uninstall") {
		require.NotNil(t, deliver.Startup)
		require.NotNil(t, deliver.Readiness)
	}
}

func TestFleet(t *testing.T) {
	rendered, err := helm(ci("fleet"))
	require.NoError(t, err)
	all := objects(t, rendered)
	sets := map[string]object{}
	for _, s := range ofKind(all, "DaemonSet") {
		sets[s.Metadata.Labels["plombproject.github.io/pool"]] = s
	}
	require.Len(t, sets, 3)
	mode := func(pool string) string { return argument(sets[pool].Spec.Template.Spec.InitContainers[0], "--mode=") }
	require.Equal(t, "enforce", mode("canary"))
	require.Equal(t, "warn", mode("stateful"))
	require.Equal(t, "audit", mode("default"))

	// No node is in two pools, and none is in no pool.
	const label = "plombproject.github.io/pool"
	require.Equal(t, "canary", sets["canary"].Spec.Template.Spec.NodeSelector[label])
	require.NotContains(t, sets["default"].Spec.Template.Spec.NodeSelector, label)
	require.Contains(t, string(sets["default"].raw), "operator: NotIn")
	require.Empty(t, sets["canary"].Spec.Template.Spec.Affinity)

	// One that fails stops the rollout, and the pod before it goes on delivering.
	canary := sets["canary"].Spec
	require.Equal(t, "RollingUpdate", canary.UpdateStrategy.Type)
	require.Equal(t, "0", canary.UpdateStrategy.RollingUpdate.MaxUnavailable)
	require.Equal(t, "1", canary.UpdateStrategy.RollingUpdate.MaxSurge)
	require.Equal(t, 900, canary.MinReadySeconds)
	require.Equal(t, "10%", sets["default"].Spec.UpdateStrategy.RollingUpdate.MaxSurge)
	require.Equal(t, "OnDelete", sets["stateful"].Spec.UpdateStrategy.Type)

	// A pod is ready in its pool's mode only: not where the node went back.
	require.Contains(t, canary.Template.Spec.Containers[0].Readiness.Exec.Command, "--mode=enforce")
	// Images are pinned before anything is installed.
	args := canary.Template.Spec.InitContainers[0].Args
	require.Less(t, slices.Index(args, "--snapshot"), slices.Index(args, "install"))

	// The canaries have their own policy, in the place of the others'.
	for _, c := range ofKind(all, "ConfigMap") {
		switch c.Metadata.Name {
		case "plomb-policy-canary":
			require.Contains(t, c.Data["shop.yaml"], "refs/heads/stable")
			require.Contains(t, c.Data["system.yaml"], "registry.k8s.io")
		case "plomb-policy-default":
			require.Contains(t, c.Data["shop.yaml"], "refs/heads/main")
		}
	}
}

func argument(c container, prefix string) string {
	for _, a := range c.Args {
		if rest, ok := strings.CutPrefix(a, prefix); ok {
			return rest
		}
	}
	return ""
}

// Every ConfigMap is a set of policies that a node takes, and one of them is
// about plomb's own image: a node that enforces can still be updated.
func TestPoliciesAdmitPlombsOwnImage(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(chart, "ci", "*.yaml"))
	require.NoError(t, err)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			rendered, err := helm(path)
			require.NoError(t, err)
			all := objects(t, rendered)
			image := ofKind(all, "DaemonSet")[0].Spec.Template.Spec.Containers[0].Image
			checked := 0
			for _, c := range ofKind(all, "ConfigMap") {
				if !strings.HasPrefix(c.Metadata.Name, "plomb-policy-") {
					continue
				}
				checked++
				var files []policy.File
				for name, text := range c.Data {
					files = append(files, policy.File{Name: name, Data: []byte(text)})
				}
				set, err := policy.FromFiles(c.Metadata.Name, files)
				require.NoError(t, err)
				name, dgst, _ := strings.Cut(image, "@")
				about, err := set.Select(image, digest.Digest(dgst))
				require.NoError(t, err)
				require.Len(t, about, 1)
				require.Equal(t, "plomb-self", about[0].Name)
				// Another repository's, and with pinned digests another image.
				others := []string{name + "-evil@" + dgst}
				if file := filepath.Base(path); file == "plain.yaml" || file == "uninstall.yaml" {
					others = append(others, name+"@"+digestA)
				}
				for _, other := range others {
					_, dgst, _ := strings.Cut(other, "@")
					_, err := set.Select(other, digest.Digest(dgst))
					require.ErrorIs(t, err, policy.ErrNoMatch, other)
				}
			}
			require.Positive(t, checked)
		})
	}
}

// Taking plomb off delivers nothing, and does not say to install.
func TestUninstall(t *testing.T) {
	rendered, err := helm(ci("uninstall"))
	require.NoError(t, err)
	p := ofKind(objects(t, rendered), "DaemonSet")[0].Spec.Template.Spec
	require.Equal(t, "uninstall", p.InitContainers[0].Args[len(p.InitContainers[0].Args)-1])
	require.NotContains(t, p.InitContainers[0].Args, "--snapshot")
	require.NotContains(t, p.Containers[0].Args, "--from=/delivery")
}

// An alert about a figure that nobody has never fires.
func TestAlertsAreAboutFiguresThatThereAre(t *testing.T) {
	rendered, err := helm(ci("fleet"))
	require.NoError(t, err)
	rules := ofKind(objects(t, rendered), "PrometheusRule")
	require.Len(t, rules, 1)
	var sources []byte
	for _, path := range []string{"/plugin/agent/metrics.go", "/plugin/nodesync/watch.go"} {
		data, err := os.ReadFile(repository + path)
		require.NoError(t, err)
		sources = append(sources, data...)
	}
	names := regexp.MustCompile(`plomb_([a-z_]+)`).FindAllStringSubmatch(string(rules[0].raw), -1)
	require.Greater(t, len(names), 8)
	for _, name := range names {
		require.Regexp(t, `("|plomb_)`+name[1]+`["\s]`, string(sources), name[0])
	}
}

// The namespace says what the pods need, and nothing more permissive exists.
func TestNamespace(t *testing.T) {
	data, err := os.ReadFile(repository + "/docs/kubernetes/manifests/namespace.yaml")
	require.NoError(t, err)
	require.NoError(t, conform(t, data))
	require.Equal(t, "privileged", objects(t, data)[0].Metadata.Labels["pod-security.kubernetes.io/enforce"])
}
