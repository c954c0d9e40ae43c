// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/node"
	"github.com/plombproject/plomb/verify/receipt"
)

func TestPin(t *testing.T) {
	m := newMachine(t)
	_, err := m.Pin(t.Context())
	require.ErrorIs(t, err, node.ErrEmpty)

	one, two := container("one").Image, container("two").Image
	m.images = []admission.Pinned{one}
	p, err := m.Pin(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{one.Name}, p.Added)

	m.images = []admission.Pinned{two}
	p, err = m.Pin(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{two.Name}, p.Added)
	require.Equal(t, []string{one.Name}, p.Removed)
	s, err := admission.ReadSnapshot(m.Settings.Snapshot())
	require.NoError(t, err)
	require.Empty(t, s.Has(one.Digests...), "a new snapshot takes the place of the old one")
	require.Equal(t, two.Name, s.Has(two.Digests[1]))

	had, err := m.Unpin(t.Context())
	require.NoError(t, err)
	require.True(t, had)
	had, err = m.Unpin(t.Context())
	require.NoError(t, err)
	require.False(t, had)
	require.Len(t, m.receipts, 3)
}

// What widens what is admitted leaves a trace, or does not happen.
func TestPinNeedsAReceipt(t *testing.T) {
	m := newMachine(t)
	m.images, m.noReceipts = []admission.Pinned{container("one").Image}, true
	_, err := m.Pin(t.Context())
	require.ErrorIs(t, err, receipt.ErrLog)
	require.NoFileExists(t, m.Settings.Snapshot())
}

func TestBreakGlass(t *testing.T) {
	m := newMachine(t)
	_, _, err := m.BreakGlass(t.Context(), "", time.Hour)
	require.Error(t, err)
	_, _, err = m.BreakGlass(t.Context(), "forever", 13*time.Hour)
	require.Error(t, err)
	require.NoFileExists(t, m.Settings.BreakGlass())

	b, fault, err := m.BreakGlass(t.Context(), "INC-1", time.Hour)
	require.NoError(t, err)
	require.NoError(t, fault)
	info, err := os.Stat(m.Settings.BreakGlass())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	open, err := admission.ReadBreakGlass(m.Settings.BreakGlass(), m.Now())
	require.NoError(t, err)
	require.Equal(t, b, *open)
	require.Contains(t, m.receipts[0].Reason, "INC-1")

	was, fault, err := m.EndBreakGlass(t.Context())
	require.NoError(t, err)
	require.NoError(t, fault)
	require.True(t, was)
	require.NoFileExists(t, m.Settings.BreakGlass())

	// A full disk is a need as well.
	m.noReceipts = true
	_, fault, err = m.BreakGlass(t.Context(), "the disk is full", time.Hour)
	require.NoError(t, err)
	require.ErrorIs(t, fault, receipt.ErrLog)
	require.FileExists(t, m.Settings.BreakGlass())
}

func TestStatusWithoutAnAgent(t *testing.T) {
	m := newMachine(t)
	s, answers := m.Node.Status(t.Context())
	require.False(t, answers)
	require.Equal(t, control.Schema, s.Schema)
	require.Contains(t, s.Faults, node.ErrNotInstalled.Error())

	_, dead, _ := m.until(6, func(progress func(node.Event)) error {
		return m.Install(t.Context(), node.InstallOptions{Progress: progress})
	})
	require.True(t, dead)
	m.runs = false
	s, _ = m.Node.Status(t.Context())
	require.Contains(t, s.Faults[1], "plomb node install did not come to its end")
	require.Equal(t, admission.Audit, s.Mode.Mode)

	m.write("state/mode.json", "{", 0o600)
	s, _ = m.Node.Status(t.Context())
	require.Equal(t, admission.Enforce, s.Mode.Mode, "a broken mode enforces")
	require.Contains(t, s.Faults[1], "mode.json")

	m.write("state/install.json", "{}", 0o600)
	_, err := m.install(node.InstallOptions{})
	require.ErrorIs(t, err, node.ErrManifest)
	_, err = m.uninstall()
	require.ErrorIs(t, err, node.ErrManifest)
}

// A backup that somebody changed is not put back: it would be containerd's
// configuration.
func TestADamagedBackupIsNotRestored(t *testing.T) {
	m := newMachine(t)
	m.write("etc/containerd.d/99-plomb.toml", "version = 3\n", 0o644)
	_, err := m.install(node.InstallOptions{})
	require.NoError(t, err)
	entries, err := os.ReadDir(m.path("state/backup"))
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	for _, e := range entries {
		m.write("state/backup/"+e.Name(), "evil", 0o600)
	}
	_, err = m.uninstall()
	require.ErrorIs(t, err, node.ErrManifest)
	require.ErrorContains(t, err, "damaged")
}
