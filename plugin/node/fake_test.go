// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/containerd"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/node"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
)

// A machine is a node whose daemons are fakes, and whose files are real.
type machine struct {
	t   *testing.T
	dir string
	*node.Node

	// containerd: its process, and whether it comes back from a restart.
	pid      int
	restarts int
	broken   bool
	// required is what the containerd that runs was told to require.
	required bool
	images   []admission.Pinned
	running  []node.Container

	// agent: whether it runs, and whether it registers.
	runs       bool
	since      time.Time
	deaf       bool
	noStart    bool
	noRestart  bool
	verdicts   map[digest.Digest]decision.Verdict
	receipts   []*receipt.Receipt
	noReceipts bool
}

// standConfig is a main configuration as an administrator could have it.
const standConfig = `# The administrator's.
version = 3
imports = ["%DIR%/etc/containerd.d/*.toml"]

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  discard_unpacked_layers = true # saves space
[plugins."io.containerd.image-verifier.v1.bindir"]
  bin_dir = "%DIR%/verifiers"
[plugins."io.containerd.nri.v1.nri"]
  socket_path = "%DIR%/run/nri.sock"
`

// newMachine is a node with a containerd, and files to put on it.
func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir(), pid: 1 << 30, // no process has such a number
		verdicts: map[digest.Digest]decision.Verdict{}}
	m.write("etc/config.toml", strings.ReplaceAll(standConfig, "%DIR%", m.dir), 0o640)
	m.write("etc/containerd.d/10-admin.toml", "version = 3\n", 0o644)
	m.write("programs/plomb-verifier", "\x7fELF\x00 a verifier", 0o755)
	require.NoError(t, os.Mkdir(filepath.Join(m.dir, "verifiers"), 0o755))
	s, err := settings.Read(func(name string) string {
		return map[string]string{
			"PLOMB_STATE": m.path("state"), "PLOMB_NODE_CONFIG": m.path("etc/plomb/node.yaml"), "PLOMB_SOCKET": m.path("run/agent.sock"),
		}[name]
	})
	require.NoError(t, err)
	s.Node.Name = "node-1"
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	m.Node = &node.Node{
		Settings: s, ContainerdConfig: m.path("etc/config.toml"), Program: "/usr/local/bin/plomb", Verifier: m.path("programs/plomb-verifier"),
		Version: "v1.2.3", Environment: []string{"PLOMB_STATE=" + m.path("state")},
		Runtime: m, Inventory: m, Agent: m, Supervisor: m, Receipts: m,
		Now: func() time.Time { now = now.Add(time.Second); return now }, Patience: 100 * time.Millisecond,
	}
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) write(name, text string, mode fs.FileMode) {
	m.t.Helper()
	require.NoError(m.t, os.MkdirAll(filepath.Dir(m.path(name)), 0o755))
	require.NoError(m.t, os.WriteFile(m.path(name), []byte(text), mode))
	require.NoError(m.t, os.Chmod(m.path(name), mode))
}

func (m *machine) read(name string) string {
	m.t.Helper()
	data, err := os.ReadFile(m.path(name))
	require.NoError(m.t, err)
	return string(data)
}

// tree is every file of the machine but the receipts', with mode and content.
func (m *machine) tree() map[string]string {
	m.t.Helper()
	found := map[string]string{}
	require.NoError(m.t, filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(m.dir, path)
		found[name] = info.Mode().String()
		if d.Type().IsRegular() {
			found[name] += " " + m.read(name)
		}
		return nil
	}))
	return found
}

func (m *machine) mode() admission.Mode {
	s, err := admission.ReadMode(m.Settings.Mode())
	require.NoError(m.t, err)
	return s.Mode
}

func (m *machine) Daemon(context.Context) (containerd.Daemon, error) {
	return containerd.Daemon{Program: "containerd", Config: m.path("etc/config.toml"), PID: m.pid}, nil
}

func (m *machine) Answers(context.Context) error {
	if m.broken {
		return errors.New("containerd does not answer")
	}
	return nil
}

// Dump merges as containerd does: tables by key, lists of plugins by adding to
// them, all else by replacing it.
func (m *machine) Dump(_ context.Context, config string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join("testdata", "default.toml"))
	if err != nil {
		return nil, err
	}
	merged := map[string]any{}
	if err := toml.Unmarshal(data, &merged); err != nil {
		return nil, err
	}
	for queue := []string{config}; len(queue) > 0; queue = queue[1:] {
		data, err := os.ReadFile(queue[0])
		if err != nil {
			return nil, err
		}
		layer := map[string]any{}
		if err := toml.Unmarshal(data, &layer); err != nil {
			return nil, err
		}
		merge(merged, layer)
		imports, _ := layer["imports"].([]any)
		for _, pattern := range imports {
			path := pattern.(string)
			if !filepath.IsAbs(path) {
				path = filepath.Join(filepath.Dir(queue[0]), path)
			}
			found, err := filepath.Glob(path)
			if err != nil {
				return nil, err
			}
			queue = append(queue, found...)
		}
	}
	return toml.Marshal(merged)
}

func merge(to, from map[string]any) {
	for k, v := range from {
		table, ok := v.(map[string]any)
		old, both := to[k].(map[string]any)
		if ok && both {
			merge(old, table)
			continue
		}
		if list, ok := v.([]any); ok && k == "disabled_plugins" {
			old, _ := to[k].([]any)
			v = append(old, list...)
		}
		to[k] = v
	}
}

func (m *machine) Images(context.Context) ([]admission.Pinned, error) { return m.images, nil }
func (m *machine) Running(context.Context) ([]node.Container, error)  { return m.running, nil }

func (m *machine) Status(context.Context) (control.Status, error) {
	if !m.runs {
		return control.Status{}, control.ErrAgent
	}
	since := m.since
	return control.Status{Version: m.Version, PID: os.Getpid(), NRI: control.NRI{Connected: !m.deaf, Since: &since}}, nil
}

func (m *machine) Verify(_ context.Context, q control.Question) (control.Answer, error) {
	if !m.runs {
		return control.Answer{}, control.ErrAgent
	}
	d := &decision.Decision{Verdict: m.verdicts[q.Digest], Reason: "unsigned"}
	if d.Verdict == "" {
		d.Verdict = decision.Deny
	}
	return control.Answer{Admitted: true, Decision: d}, nil
}

func (m *machine) Append(_ context.Context, receipts ...*receipt.Receipt) (digest.Digest, error) {
	if m.noReceipts {
		return "", receipt.ErrLog
	}
	m.receipts = append(m.receipts, receipts...)
	return digest.FromString("a receipt"), nil
}

func (m *machine) Files(u node.Unit) []node.File {
	return []node.File{{Path: m.path("units/plomb-agent.service"), Mode: 0o644, Data: []byte("ExecStart=" + u.Program + "\n")}}
}

func (m *machine) ContainerdFiles([]string) []node.File { return nil }
func (m *machine) Reload(context.Context) error         { return nil }

func (m *machine) Start(context.Context, node.Unit) error {
	if m.noStart {
		return node.ErrAgent
	}
	m.runs, m.since = true, m.Now()
	return nil
}

func (m *machine) Stop(context.Context) error {
	require.False(m.t, m.required, "the agent is stopped, and containerd requires it: the node is locked")
	m.runs = false
	return nil
}

func (m *machine) Says(action string) []string { return []string{action} }

func (m *machine) RestartContainerd(ctx context.Context) error {
	if m.noRestart {
		return node.ErrNoRestart
	}
	return m.restart(ctx)
}

// restart has containerd read its files, as somebody else can do it as well.
func (m *machine) restart(ctx context.Context) error {
	m.pid++
	m.restarts++
	m.since = m.Now()
	dump, err := m.Dump(ctx, m.path("etc/config.toml"))
	if err != nil {
		return err
	}
	report, err := containerd.Analyse(dump)
	if err != nil {
		return err
	}
	m.required = len(report.Facts.RequiredNRI) > 0
	if m.required {
		require.True(m.t, m.runs, "containerd requires an agent that does not run: the node is locked")
	}
	return nil
}

// killed is what a process does that is killed after a number of events.
type killed struct{}

// until runs something, and kills it after n events; n < 0: not at all. It
// returns the events.
func (m *machine) until(n int, do func(progress func(node.Event)) error) (events []node.Event, dead bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(killed); !ok {
				panic(p)
			}
			dead = true
		}
	}()
	err = do(func(e node.Event) {
		events = append(events, e)
		if len(events) == n {
			panic(killed{})
		}
	})
	return events, false, err
}

func (m *machine) install(o node.InstallOptions) ([]string, error) {
	m.t.Helper()
	events, _, err := m.until(-1, func(progress func(node.Event)) error {
		o.Progress = progress
		return m.Install(m.t.Context(), o)
	})
	return m.texts(events), err
}

func (m *machine) uninstall() ([]string, error) {
	m.t.Helper()
	events, _, err := m.until(-1, func(progress func(node.Event)) error { return m.Uninstall(m.t.Context(), progress) })
	return m.texts(events), err
}

func (m *machine) texts(events []node.Event) (list []string) {
	for _, e := range events {
		list = append(list, strings.ReplaceAll(e.Text, m.dir+"/", ""))
	}
	return list
}

func without(tree map[string]string, prefix string) map[string]string {
	tree = maps.Clone(tree)
	maps.DeleteFunc(tree, func(name, _ string) bool { return strings.HasPrefix(name, prefix) })
	return tree
}
