// SPDX-License-Identifier: Apache-2.0

//go:build integration

package nri

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/nri"
	"github.com/plombproject/plomb/verify/decision"
)

// pluginEnv makes the test program a plugin: the folder with its verdicts.
const pluginEnv = "PLOMB_TEST_NRI"

// fileGate takes verdicts from files in a folder: `allowed` lists digests, and
// `slow` has it answer never.
type fileGate struct{ dir string }

func (g fileGate) Known(ctx context.Context, c nri.Container) (admission.Outcome, bool) {
	if _, err := os.Stat(filepath.Join(g.dir, "slow")); err == nil {
		select {}
	}
	data, _ := os.ReadFile(filepath.Join(g.dir, "allowed"))
	for _, d := range c.Digests {
		if slices.Contains(strings.Fields(string(data)), d.String()) {
			return admission.Outcome{Admitted: true, By: admission.ByDecision, Mode: admission.Enforce, Decision: &decision.Decision{
				Verdict: decision.Allow, Image: decision.Image{Digest: d},
			}}, true
		}
	}
	return admission.Outcome{}, false
}

func (g fileGate) Verify(c nri.Container) { fmt.Println("verify", c.Subject, c.Name, c.Digests) }

func (g fileGate) Found(running []nri.Container) {
	for _, c := range running {
		fmt.Println("found", c.Subject, c.Volume, c.Digests)
	}
	fmt.Println("synchronised")
}

func pluginMain(dir string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := nri.Run(ctx, nri.Options{
		Socket: filepath.Join(dir, "nri.sock"), Gate: fileGate{dir},
		OnState: func(connected bool, runtime string, err error) { fmt.Println("connected", connected, runtime, err) },
		Log:     slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	fmt.Fprintln(os.Stderr, err)
}

// A plugin is the process.
type plugin struct {
	t     testing.TB
	dir   string
	cmd   *exec.Cmd
	lines chan string
}

// plugin starts the plugin on a node and waits until containerd asks it.
func (n *node) plugin(allowed ...digest.Digest) *plugin {
	n.t.Helper()
	p := &plugin{t: n.t, dir: n.t.TempDir()}
	p.allow(allowed...)
	require.NoError(n.t, linkSocket(n, p))
	p.start()
	p.expect("synchronised")
	return p
}

func linkSocket(n *node, p *plugin) error {
	return os.Symlink(n.NRISocket(), filepath.Join(p.dir, "nri.sock"))
}

func (p *plugin) start() {
	p.t.Helper()
	program, err := os.Executable()
	require.NoError(p.t, err)
	p.cmd = exec.Command(program)
	p.cmd.Env = []string{pluginEnv + "=" + p.dir}
	out, err := p.cmd.StdoutPipe()
	require.NoError(p.t, err)
	p.cmd.Stderr = logged{p.t}
	require.NoError(p.t, p.cmd.Start())
	lines := make(chan string, 1024)
	p.lines = lines
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
	}()
	cmd := p.cmd
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// expect waits for a line of the plugin's that has the text.
func (p *plugin) expect(text string) string {
	p.t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case line, ok := <-p.lines:
			require.True(p.t, ok, "the plugin ended and did not say %q", text)
			if strings.Contains(line, text) {
				return line
			}
		case <-limit:
			require.Fail(p.t, "no line of the plugin", text)
		}
	}
}

func (p *plugin) allow(digests ...digest.Digest) {
	p.t.Helper()
	f, err := os.OpenFile(filepath.Join(p.dir, "allowed"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(p.t, err)
	defer f.Close()
	for _, d := range digests {
		_, err = fmt.Fprintln(f, d)
		require.NoError(p.t, err)
	}
}

func (p *plugin) signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// kill ends the plugin without warning.
func (p *plugin) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
}

// slow has the plugin stop answering, or answer again.
func (p *plugin) slow(on bool) {
	p.t.Helper()
	path := filepath.Join(p.dir, "slow")
	if on {
		require.NoError(p.t, os.WriteFile(path, nil, 0o644))
		return
	}
	require.NoError(p.t, os.Remove(path))
}

type logged struct{ t testing.TB }

func (l logged) Write(data []byte) (int, error) {
	l.t.Logf("plugin: %s", data)
	return len(data), nil
}
