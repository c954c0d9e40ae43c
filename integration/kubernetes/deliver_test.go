// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy"
)

// A host is a file system with systemd's stand-in, a delivery, and the node
// image's programs.
type host struct {
	*testing.T
	root, delivery, image string
}

func newHost(t *testing.T) *host {
	require.Zero(t, os.Geteuid(), "chroot needs root")
	h := &host{T: t, root: t.TempDir(), delivery: t.TempDir(), image: t.TempDir()}
	for _, dir := range []string{"dev", "etc", "opt", "tmp", "usr/bin", "run/systemd/system", "var/lib/plomb", "var/lib/config"} {
		require.NoError(t, os.MkdirAll(filepath.Join(h.root, dir), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(h.root, "dev/null"), nil, 0o666))
	programs, err := built()
	require.NoError(t, err)
	for from, to := range map[string]string{
		"systemd-run": filepath.Join(h.root, "usr/bin/systemd-run"),
		"plomb":       filepath.Join(h.image, "plomb"), "plomb-verifier": filepath.Join(h.image, "plomb-verifier"),
	} {
		data, err := os.ReadFile(filepath.Join(programs, from))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, data, 0o755))
	}
	return h
}

// built is the folder with what the tests run, built once.
var built = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", scratch+"/",
		"./testdata/systemd-run", repository+"/cmd/plomb", repository+"/cmd/plomb-verifier")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, printed)
	}
	return scratch, nil
})

func (h *host) deliver(name, text string) {
	path := filepath.Join(h.delivery, "policy", name)
	require.NoError(h, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(h, os.WriteFile(path+".new", []byte(text), 0o644))
	require.NoError(h, os.Rename(path+".new", path))
}

// install runs what the install container of a values file runs, with the
// capabilities of its security context and no other.
func (h *host) install(c container, env ...string) (string, error) {
	args := []string{"--bounding-set=-all,+" + strings.ToLower(strings.Join(c.SecurityContext.Capabilities.Add, ",+")),
		"--no-new-privs", filepath.Join(h.image, c.Command[0])}
	for _, a := range c.Args {
		a = strings.Replace(a, "--host=/host", "--host="+h.root, 1)
		args = append(args, strings.Replace(a, "--from=/delivery", "--from="+h.delivery, 1))
	}
	cmd := exec.Command("setpriv", args...)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin"}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (h *host) calls() []string {
	data, err := os.ReadFile(filepath.Join(h.root, "run/systemd/calls"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(h, err)
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func (h *host) policies(config string) []string {
	set, err := policy.Load(filepath.Join(h.root, config, "policy"))
	require.NoError(h, err)
	var names []string
	for _, p := range set.Policies() {
		names = append(names, p.Name)
	}
	return names
}

func onePolicy(name string) string {
	return "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: " + name +
		"}\nspec:\n  images: [{glob: registry.example/" + name + "/**}]\n  authorities: [{static: {action: pass}}]\n"
}

func podOf(t *testing.T, values string) pod {
	rendered, err := helm(ci(values))
	require.NoError(t, err)
	return ofKind(objects(t, rendered), "DaemonSet")[0].Spec.Template.Spec
}

// The whole life of a node, with the command lines that the chart renders.
func TestInstallContainer(t *testing.T) {
	h := newHost(t)
	install := podOf(t, "plain").InitContainers[0]
	// A link on the host is the host's: followed in the container, it would lead
	// into the container.
	require.NoError(t, os.Symlink("/var/lib/config", filepath.Join(h.root, "etc/plomb")))

	h.deliver("shop.yaml", onePolicy("shop"))
	out, err := h.install(install, "CONTAINERD_ADDRESS=/run/k3s/containerd/containerd.sock", "AWS_SECRET_ACCESS_KEY=x")
	require.NoError(t, err, out)
	require.FileExists(t, filepath.Join(h.root, "var/lib/config/policy/kubernetes.yaml"))
	calls := h.calls()
	require.Len(t, calls, 2)
	require.Regexp(t, `-- /opt/plomb/[0-9a-f]{16}/plomb node snapshot ignore-chroot=1$`, calls[0])
	require.Regexp(t, `-- /opt/plomb/[0-9a-f]{16}/plomb node install --mode=audit --probation=15m ignore-chroot=1$`, calls[1])
	require.Contains(t, calls[1], "--setenv=CONTAINERD_ADDRESS=/run/k3s/containerd/containerd.sock")
	require.NotContains(t, calls[1], "AWS")
	first, err := os.Readlink(filepath.Join(h.root, "opt/plomb/current"))
	require.NoError(t, err)

	// Started again, it pins nothing again.
	out, err = h.install(install)
	require.NoError(t, err, out)
	require.Len(t, h.calls(), 3)
	require.Contains(t, h.calls()[2], "node install")

	// A broken policy stops it before anything is installed.
	h.deliver("shop.yaml", onePolicy("shop")+"---\nkind: [")
	out, err = h.install(install)
	require.Error(t, err)
	require.Contains(t, out, "what was there stays")
	require.Len(t, h.calls(), 3)

	// An installation that is refused is an error of the container, and the node
	// keeps what it had.
	h.deliver("shop.yaml", onePolicy("shop"))
	require.NoError(t, os.WriteFile(filepath.Join(h.image, "plomb-verifier"), []byte("another version"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(h.root, "run/systemd/status"), []byte("1"), 0o644))
	out, err = h.install(install)
	require.Error(t, err, out)
	now, err := os.Readlink(filepath.Join(h.root, "opt/plomb/current"))
	require.NoError(t, err)
	require.Equal(t, first, now)

	// Taking it off removes the programs, and only after that was done.
	off := podOf(t, "uninstall").InitContainers[0]
	out, err = h.install(off)
	require.Error(t, err, out)
	require.DirExists(t, filepath.Join(h.root, "opt/plomb"))
	require.NoError(t, os.Remove(filepath.Join(h.root, "run/systemd/status")))
	out, err = h.install(off)
	require.NoError(t, err, out)
	require.NoDirExists(t, filepath.Join(h.root, "opt/plomb"))
	require.Equal(t, []string{"shop"}, h.policies("var/lib/config"), "no policy is taken away")
}

// What is not there says so, and nothing is half done.
func TestInstallContainerRefuses(t *testing.T) {
	h := newHost(t)
	install := podOf(t, "plain").InitContainers[0]
	h.deliver("shop.yaml", onePolicy("shop"))

	without := install
	without.SecurityContext.Capabilities.Add = []string{"KILL"}
	out, err := h.install(without)
	require.Error(t, err)
	require.Contains(t, out, "CAP_SYS_CHROOT")
	require.NoDirExists(t, filepath.Join(h.root, "opt/plomb"))

	require.NoError(t, os.RemoveAll(filepath.Join(h.root, "run/systemd/system")))
	out, err = h.install(install)
	require.Error(t, err)
	require.Contains(t, out, "does not run systemd")
	require.NoDirExists(t, filepath.Join(h.root, "opt/plomb"))
}

// The container that stays, without any capability: it delivers what changes,
// keeps what is good when the next is not, and ends when it is told to.
func TestDeliverContainer(t *testing.T) {
	h := newHost(t)
	deliver := podOf(t, "plain").Containers[0]
	require.Equal(t, []string{"node", "sync", "--from=/delivery", "--watch"}, deliver.Args)
	h.deliver("shop.yaml", onePolicy("shop"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	env := []string{"PLOMB_POLICY=" + h.root + "/etc/plomb/policy", "PLOMB_NODE_CONFIG=" + h.root + "/etc/plomb/node.yaml",
		"PLOMB_SOCKET=" + h.root + "/run/plomb/agent.sock"}
	cmd := exec.CommandContext(ctx, "setpriv", "--bounding-set=-all", "--no-new-privs", filepath.Join(h.image, "plomb"),
		"node", "sync", "--from="+h.delivery, "--watch", "--every=1s")
	cmd.Env = env
	var log strings.Builder
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	path := filepath.Join(h.root, "etc/plomb/policy/kubernetes.yaml")
	until := func(holds func(text string) bool) {
		require.Eventually(t, func() bool {
			data, err := os.ReadFile(path)
			return err == nil && holds(string(data))
		}, 30*time.Second, 50*time.Millisecond)
	}
	until(func(text string) bool { return strings.Contains(text, "name: shop}") })

	h.deliver("shop.yaml", "kind: [")
	h.deliver("more.yaml", onePolicy("more"))
	time.Sleep(2500 * time.Millisecond) // two looks at it
	require.Equal(t, []string{"shop"}, h.policies("etc/plomb"))
	h.deliver("shop.yaml", onePolicy("shop2"))
	until(func(text string) bool { return strings.Contains(text, "name: shop2}") })
	require.Equal(t, []string{"more", "shop2"}, h.policies("etc/plomb"))

	// Without an agent it is not ready.
	ready := exec.Command(filepath.Join(h.image, "plomb"), "node", "sync", "--from="+h.delivery, "--ready", "--mode=audit")
	ready.Env = env
	out, err := ready.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "the node is not ready: the agent does not answer")

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
	require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), log.String())
	require.Contains(t, log.String(), "sound again")
}
