// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package doctor has real containerds misconfigured in every way that turns
// verification off, shows that an unsigned image then gets in, that plomb node
// doctor says so and names the line, and that all is well after it was mended.
//
// settings_test.go is the table of settings, nodes_test.go configurations like
// those of distributions, attack_test.go what else can be broken on a node.
package doctor

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
	"github.com/plombproject/plomb/plugin/containerd"
	"github.com/plombproject/plomb/plugin/doctor"
)

// on is the stand of all tests in this package. Each test leaves it as it was.
var on *stand.Stand

// mainConfig is containerd's configuration as the stand has it, with the drop-in that
// makes the node enforce.
var mainConfig []byte

func TestMain(m *testing.M) {
	os.Exit(standtest.Main(m, func(shared *standtest.Shared) error {
		opts := stand.Options{Only: []string{stand.Registry, stand.Sigstore, stand.Containerd}}
		var err error
		if on, err = shared.Start(opts); err != nil {
			return err
		}
		// The agent's own self-test would be found by those who look for leftovers.
		node, err := os.ReadFile(on.NodeConfig())
		if err != nil {
			return err
		}
		if err := os.WriteFile(on.NodeConfig(), append(node, "selfTest: 0s\n"...), 0o644); err != nil {
			return err
		}
		if mainConfig, err = os.ReadFile(on.ContainerdConfig()); err != nil {
			return err
		}
		ctx := context.Background()
		if err := dropIn(ctx); err != nil {
			return err
		}
		if err := restart(ctx); err != nil {
			return err
		}
		shared.Cleanup(func() { _ = on.StopDaemon(context.Background(), stand.Agent) })
		return on.StartAgent(ctx)
	}))
}

// dropInFile sorts after whatever a test adds.
func dropInFile() string { return filepath.Join(on.ContainerdDropIns(), "zz-plomb.toml") }

// dropIn writes what plomb node install would.
func dropIn(ctx context.Context) error {
	dump, err := containerd.Effective(ctx, on.ContainerdAddress, filepath.Join(on.Bin, "containerd"), on.ContainerdConfig())
	if err != nil {
		return err
	}
	text, err := containerd.DropIn(dump, containerd.Want{BinDir: on.Verifiers(), RequireNRI: containerd.RequiredNRI})
	if err != nil {
		return err
	}
	return os.WriteFile(dropInFile(), text, 0o644)
}

func restart(ctx context.Context) error { return stand.Restart(ctx, on.Dir, stand.Containerd) }

// restarted has containerd read its configuration again.
func restarted(t *testing.T) {
	t.Helper()
	require.NoError(t, restart(t.Context()), on.LogTail(stand.Containerd, 30))
}

// diagnosis is what plomb node doctor said.
type diagnosis struct {
	doctor.Report
	status int
	text   string
}

func diagnose(t *testing.T, args ...string) diagnosis {
	t.Helper()
	p := harness.Command{On: on, Name: "plomb", Args: append([]string{"node", "doctor", "--output", "json"}, args...)}.Run(t)
	d := diagnosis{status: p.Status, text: p.All}
	require.NoError(t, json.Unmarshal([]byte(p.Out), &d.Report), p.All)
	return d
}

// healthy asks until the agent and a containerd that was restarted have found
// each other.
func healthy(t *testing.T) {
	t.Helper()
	var d diagnosis
	for range 20 {
		if d = diagnose(t); d.status == 0 {
			break
		}
	}
	require.Equal(t, 0, d.status, d.text)
	require.Equal(t, doctor.Live, d.Verdict)
}

// sick wants an exit status that is not 0, and a check that says why.
func sick(t *testing.T, id string, setting string) diagnosis {
	t.Helper()
	d := diagnose(t)
	require.Equal(t, 1, d.status, d.text)
	require.Equal(t, doctor.NotLive, d.Verdict, d.text)
	for _, c := range d.Checks {
		if c.ID == id && c.Status == doctor.Fail && (setting == "" || c.Setting == setting) {
			return d
		}
	}
	require.Fail(t, "no check says so", "%s %s: %s", id, setting, d.text)
	return d
}

func (d diagnosis) find(id string) []doctor.Check {
	var out []doctor.Check
	for _, c := range d.Checks {
		if c.ID == id {
			out = append(out, c)
		}
	}
	return out
}

// ctr is what containerd's own tool prints.
func ctr(t *testing.T, args ...string) string {
	t.Helper()
	return harness.Command{On: on, Name: "ctr", Args: append([]string{"--address", on.ContainerdAddress}, args...)}.Must(t).Out
}

// kubelet is a client of CRI.
func kubelet(t *testing.T) *cri.Client {
	t.Helper()
	c, err := cri.Dial(on.ContainerdAddress)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}
