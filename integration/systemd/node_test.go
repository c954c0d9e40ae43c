// SPDX-License-Identifier: Apache-2.0

//go:build integration

package systemd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/plugin/control"
)

const (
	host   = "127.0.0.1:5000"
	agent  = "plomb-agent.service"
	secret = "correct-horse-battery-staple"
)

// nodeYAML uses everything of the agent that a sandbox could stand in the way of.
const nodeYAML = `apiVersion: plombproject.github.io/node/v1
name: sandboxed
selfTest: 10s
credentials:
  kubeletProviderConfig: /etc/kubernetes/credential-provider.yaml
  kubeletProviderDir: /usr/libexec/providers
imageService:
  listen: /run/plomb/images.sock
`

const provider = `#!/bin/sh
# A kubelet credential provider (KEP-2133).
cat >/dev/null
echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","auth":{"` + host + `":{"username":"robot","password":"` + secret + `"}}}'
`

const providers = `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: fake
  matchImages: ["` + host + `"]
  defaultCacheDuration: 1m
  apiVersion: credentialprovider.kubelet.k8s.io/v1
`

// newNode is a running machine with containerd, a registry on its loopback, and
// a policy that wants a signature that no image has.
func newNode(t *testing.T) (*machine, *registry) {
	t.Helper()
	m := newMachine(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	lines := strings.ReplaceAll(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))), "\n", "\n        ")
	for path, text := range map[string]string{
		"etc/containerd/config.toml": fmt.Sprintf(containerdConfig, host+"/pause:v1"),
		"etc/plomb/node.yaml":        nodeYAML,
		"etc/plomb/policy/signed.yaml": "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata:\n  name: signed\nspec:\n  images:\n  - glob: " +
			host + "/**\n  authorities:\n  - key:\n      data: |\n        " + lines + "\n",
		"etc/kubernetes/credential-provider.yaml": providers,
	} {
		write(t, filepath.Join(m.root, path), text, 0o644)
	}
	write(t, filepath.Join(m.root, "usr/libexec/providers/fake"), provider, 0o755)
	r := newRegistry(t, map[string]string{"robot": secret, "person": "another"})
	m.on()
	r.serve(m, host)
	return m, r
}

// status is what the agent says of itself, once it is connected to containerd.
func (m *machine) status() (s control.Status) {
	m.t.Helper()
	m.eventually("the agent is asked by containerd", func() error {
		s = control.Status{}
		out, _ := m.do("plomb", "node", "status", "--output", "json")
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if !s.NRI.Connected {
			return errors.New(out)
		}
		return nil
	})
	return s
}

// effective waits for a self-test of the agent that runs, which is plomb node
// doctor in the agent's own sandbox.
func (m *machine) effective() {
	m.t.Helper()
	m.eventually("the self-test finds enforcement effective", func() error {
		s := m.status()
		if s.SelfTest == nil || !s.SelfTest.Effective {
			return fmt.Errorf("self-test: %+v, faults: %v", s.SelfTest, s.Faults)
		}
		return nil
	})
}

// A node under systemd enforces in the sandbox that its unit makes, comes back
// from everything that ends its agent, and is as it was after uninstall.
func TestNodeUnderSystemd(t *testing.T) {
	m, r := newNode(t)
	m.pullPause()
	before := m.tree()

	t.Log(m.must(0, "plomb", "node", "install", "--mode", "enforce"))
	require.Equal(t, "active", m.property(agent, "ActiveState"))
	require.Equal(t, "enabled", m.property(agent, "UnitFileState"))
	m.effective()
	require.Empty(t, m.status().Faults)
	t.Log(m.must(0, "systemd-analyze", "verify", "--man=no", "/etc/systemd/system/"+agent))

	m.step("confined", m.confined)
	m.step("pulls", func() { m.pulls(r) })
	m.step("killed", m.killed)
	m.step("hung", m.hung)
	m.step("booted", m.booted)

	t.Log(m.must(0, "plomb", "node", "uninstall"))
	require.Equal(t, before, m.tree())
	require.Equal(t, "not-found", m.property(agent, "LoadState"))
	out, _ := m.do("sh", "-c", "readlink /proc/[0-9]*/exe")
	require.NotContains(t, out, "plomb")
}

// Folders that an administrator chose work as well, also after a boot, which
// empties /run.
func TestFoldersElsewhere(t *testing.T) {
	m, _ := newNode(t)
	m.pullPause()
	write(t, filepath.Join(m.root, "etc/plomb/node.yaml"), strings.ReplaceAll(nodeYAML, "/run/plomb", "/run/else where"), 0o644)
	environment := []string{"env", "PLOMB_STATE=/srv/a place", "PLOMB_SOCKET=/run/else where/agent.sock"}
	plomb := func(args ...string) string {
		return m.must(0, append(append(environment, "plomb", "node"), args...)...)
	}
	plomb("install", "--mode", "enforce")
	m.off()
	m.on()
	m.eventually("the self-test finds enforcement effective", func() error {
		out, _ := m.do(append(environment, "plomb", "node", "status")...)
		if !strings.Contains(out, "enforcement was effective") {
			return errors.New(out)
		}
		return nil
	})
	plomb("uninstall")
	m.must(1, "sh", "-c", "ls -d /etc/systemd/system/*plomb* /etc/systemd/system/*/plomb* /opt/containerd/image-verifier/bin/* 2>/dev/null | grep .")
}

// pullPause has the image of pods on the node before anything is verified.
func (m *machine) pullPause() {
	m.t.Helper()
	_, err := m.dial("/run/containerd/containerd.sock").PullImage(m.t.Context(), host+"/pause:v1")
	require.NoError(m.t, err)
}

// tree is what there is where plomb writes, but for receipts and verdicts, which
// stay.
func (m *machine) tree() string {
	m.t.Helper()
	return m.must(0, "sh", "-c", `find /etc /opt /usr/local /run/plomb /var/lib/plomb -not -path '/var/lib/plomb*' -type f -exec sha256sum {} + 2>/dev/null | sort
find /run/plomb /var/lib/plomb/*.json /var/lib/plomb/backup 2>/dev/null || true`)
}

// confined looks at what the kernel was told, and then tries what an agent that
// somebody took over would.
func (m *machine) confined() {
	t := m.t
	pid := m.property(agent, "MainPID")
	status := m.read("/proc/" + pid + "/status")
	for _, line := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		require.Contains(t, status, line)
	}
	require.Equal(t, "268435456", m.property(agent, "MemoryMax"))
	inside := func(path string) (string, int) { return m.do("nsenter", "--target", pid, "--mount", "touch", path) }
	for _, path := range []string{
		"/etc/plomb/policy/mine.yaml", "/etc/plomb/node.yaml", "/opt/containerd/image-verifier/bin/plomb-verifier", "/usr/local/bin/mine",
		"/root/.profile", "/run/mine", "/run/systemd/system/mine.service", "/etc/systemd/system/mine.service", "/run/containerd/mine", "/var/lib/containerd/mine", "/proc/sys/kernel/core_pattern",
	} {
		out, status := inside(path)
		require.NotZero(t, status, path)
		require.Contains(t, out, "Read-only file system", path)
	}
	out, ended := inside("/var/lib/plomb/touched")
	require.Zero(t, ended, out)
	m.must(0, "rm", "/var/lib/plomb/touched")
}

// pulls go through everything of the agent that starts processes or listens.
func (m *machine) pulls(r *registry) {
	t := m.t
	out, status := m.do("ctr", "--namespace", "k8s.io", "images", "pull", "--plain-http", "--user", "person:another", host+"/private/app:v1")
	require.NotZero(t, status, out)
	require.Contains(t, out, "unsigned", "the agent reached the registry, with the credentials of the provider that it ran")
	require.True(t, r.sawUser("robot"))
	require.NotContains(t, m.must(0, "journalctl", "--no-pager", "--unit="+agent), secret)

	_, err := m.dial("/run/plomb/images.sock").PullImage(t.Context(), host+"/app:v1")
	require.ErrorContains(t, err, "SignatureValidationFailed: ")
	_, err = m.dial("/run/containerd/containerd.sock").PullImage(t.Context(), host+"/app:v1")
	require.ErrorContains(t, err, "unsigned")

	c := m.dial("/run/containerd/containerd.sock")
	_, err = c.ImageStatus(t.Context(), host+"/app:v1")
	require.ErrorIs(t, err, cri.ErrNoImage)
}

// killed: systemd starts the agent again, and containerd is asking it again.
func (m *machine) killed() {
	pid := m.property(agent, "MainPID")
	m.must(0, "systemctl", "kill", "--signal=KILL", agent)
	m.replaced(pid)
	m.effective()
}

// hung: an agent that stands still is killed by systemd's watchdog.
func (m *machine) hung() {
	m.must(0, "sh", "-c", "mkdir -p /run/systemd/system/"+agent+".d && printf '[Service]\\nWatchdogSec=3\\n' >/run/systemd/system/"+agent+".d/test.conf")
	m.must(0, "systemctl", "daemon-reload")
	m.must(0, "systemctl", "restart", agent)
	m.status()
	pid := m.property(agent, "MainPID")
	m.must(0, "systemctl", "kill", "--signal=STOP", agent)
	m.replaced(pid)
	require.Contains(m.t, m.must(0, "journalctl", "--no-pager", "--unit="+agent), "Watchdog timeout")
	m.status()
	m.must(0, "rm", "-r", "/run/systemd/system/"+agent+".d")
	m.must(0, "systemctl", "daemon-reload")
}

// booted: after the power failed, all of it is there again without a hand.
func (m *machine) booted() {
	m.off()
	m.on()
	m.effective()
	require.NotContains(m.t, m.must(0, "journalctl", "--boot", "--no-pager"), "ordering cycle")
}

// replaced waits for another agent than that.
func (m *machine) replaced(pid string) {
	m.t.Helper()
	m.eventually("another agent runs", func() error {
		if now := m.property(agent, "MainPID"); now == pid || now == "0" || m.property(agent, "ActiveState") != "active" {
			return errors.New("the agent is process " + now)
		}
		return nil
	})
}
