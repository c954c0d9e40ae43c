// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package node installs plomb on real containerds and takes it off again, with
// the program as administrators run it.
//
// install_test.go is the way of a node from audit to enforce and back,
// killed_test.go what happens to installations that are killed, image_test.go
// the images that are refused.
package node

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

func TestMain(m *testing.M) {
	if at := os.Getenv(killedEnv); at != "" {
		installUntilKilled(at)
		return
	}
	os.Exit(m.Run())
}

// patience is how long a daemon may take on a busy machine.
const patience = time.Minute

// A machine is a stand with containerd, on which plomb is not installed yet.
type machine struct {
	*stand.Stand
	*cri.Client
	t    testing.TB
	pods int
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	s := standtest.Start(t, stand.Options{Only: []string{stand.Registry, stand.Sigstore, stand.Containerd}})
	client, err := cri.Dial(s.ContainerdAddress)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return &machine{Stand: s, Client: client, t: t}
}

// plomb runs plomb node.
func (m *machine) plomb(args ...string) harness.Printout {
	m.t.Helper()
	return harness.Command{On: m.Stand, Name: "plomb", Args: append([]string{"node"}, args...)}.Run(m.t)
}

// must runs plomb node, which has to exit with a status.
func (m *machine) must(status int, args ...string) harness.Printout {
	m.t.Helper()
	p := m.plomb(args...)
	require.Equal(m.t, status, p.Status, "plomb node %s: %s", strings.Join(args, " "), p.All)
	return p
}

// tree is what there is of configuration and verifiers, and of plomb's state
// but receipts and what is remembered.
func (m *machine) tree() map[string]string {
	m.t.Helper()
	found := map[string]string{}
	for _, dir := range []string{filepath.Join(m.Dir, "etc"), m.Verifiers(), m.NodeState()} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "receipts" || d.Name() == "verdicts") {
				return fs.SkipDir
			}
			if d.Name() == "canary.lock" || path == m.NodeState() {
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(m.Dir, path)
			found[name] = info.Mode().String()
			if d.Type().IsRegular() {
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				found[name] += " " + digest.FromBytes(data).String()
			}
			return nil
		})
		if !os.IsNotExist(err) {
			require.NoError(m.t, err)
		}
	}
	return found
}

// pod starts a pod for the length of the test.
func (m *machine) pod() cri.Pod {
	m.t.Helper()
	m.pods++
	p, err := m.StartPod(m.t.Context(), "pod-"+string(rune('a'+m.pods)), nil)
	require.NoError(m.t, err)
	return p
}

// runs creates a container, and starts it. It may have to wait for a verdict.
func (m *machine) runs(p cri.Pod, image string) string {
	m.t.Helper()
	var id string
	m.eventually("a container of "+image, func() (err error) {
		m.pods++
		id, err = m.CreateContainer(m.t.Context(), p, cri.ContainerOptions{Name: "web-" + string(rune('a'+m.pods)), Image: image})
		return err
	})
	require.NoError(m.t, m.StartContainer(m.t.Context(), id))
	return id
}

func (m *machine) eventually(what string, try func() error) {
	m.t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	require.NoError(m.t, err, what)
}
