// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/integration/stand"
)

const installAgain = "`plomb node install`; `plomb node doctor` finds it."

var containerdFaults = []fault{
	{
		name: "containerd is restarted during a verification", pull: works, create: works, remedy: "Nothing: kubelet pulls again.",
		spoil: func(n *node) func() {
			i := n.image(signed)
			came, release := n.registry.hold()
			defer release()
			done := n.background(i)
			n.during(came, done)
			require.NoError(n.t, n.StopDaemon(n.t.Context(), stand.Containerd))
			require.Error(n.t, <-done)
			release()
			n.startContainerd()
			return func() {}
		},
	},
	{
		name: "containerd is killed while containers run", pull: works, create: works, remedy: "Nothing: they run on, and are told of again.",
		spoil: func(n *node) func() {
			id, err := n.container(n.known)
			require.NoError(n.t, err)
			require.NoError(n.t, n.cri.StartContainer(n.t.Context(), id))
			require.NoError(n.t, n.KillDaemon(n.t.Context(), stand.Containerd))
			n.startContainerd()
			runs, err := n.cri.Running(n.t.Context(), id)
			require.NoError(n.t, err)
			require.True(n.t, runs)
			require.NoError(n.t, n.cri.RemoveContainer(n.t.Context(), id))
			return func() {}
		},
	},
	{
		name: "containerd and the agent are killed, and start again", pull: works, create: works,
		spoil: func(n *node) func() {
			require.NoError(n.t, n.KillDaemon(n.t.Context(), stand.Containerd))
			n.killAgent()
			n.startContainerd()
			return func() {}
		},
	},
	{
		name: "containerd is out of file descriptors", pull: refused(""), create: refused(""), unrecorded: true, remedy: "Raise its limit.",
		spoil: func(n *node) func() {
			before := n.limit(n.containerdPID(), unix.RLIMIT_NOFILE, 3)
			return func() { n.limit(n.containerdPID(), unix.RLIMIT_NOFILE, before) }
		},
	},
	{
		name: "the verifier is replaced during 50 pulls", pull: works, create: works,
		spoil: func(n *node) func() {
			i, bad := n.image(signed), n.image(unsigned)
			var all sync.WaitGroup
			errs := make([]error, 50)
			for k := range errs {
				all.Go(func() {
					if k%5 == 0 {
						errs[k] = n.pull(bad)
						return
					}
					errs[k] = n.pull(i)
				})
			}
			for range 5 {
				n.replaceVerifier()
			}
			all.Wait()
			for k, err := range errs {
				if k%5 == 0 {
					require.ErrorContains(n.t, err, "unsigned")
					continue
				}
				require.NoError(n.t, err)
			}
			return func() {}
		},
	},
	{
		name: "the verifier is killed in mid-pull", pull: works, create: works, remedy: "Nothing: kubelet pulls again.",
		spoil: func(n *node) func() {
			i := n.image(signed)
			came, release := n.registry.hold()
			defer release()
			done := n.background(i)
			n.during(came, done)
			for _, pid := range n.verifierPIDs() {
				require.NoError(n.t, syscall.Kill(pid, syscall.SIGKILL))
			}
			require.ErrorContains(n.t, <-done, "killed")
			return func() {}
		},
	},
	{
		name: "the verifier is cut off", pull: refused("exec format error"), create: works, remedy: installAgain,
		spoil: func(n *node) func() {
			back := n.aside(n.verifier())
			n.write(n.verifier(), "")
			require.NoError(n.t, os.Chmod(n.verifier(), 0o755))
			return back
		},
	},
	{
		name: "half of the verifier is there", pull: refused("image verifier bindir returned error"), create: works, remedy: installAgain,
		spoil: func(n *node) func() {
			whole := n.read(n.verifier())
			require.NoError(n.t, os.Truncate(n.verifier(), int64(len(whole)/2)))
			return func() {
				n.write(n.verifier(), whole)
				require.NoError(n.t, os.Chmod(n.verifier(), 0o755))
			}
		},
	},
	{
		name: "the verifier is stopped in mid-pull", pull: works, create: works, remedy: "Nothing: containerd kills it after 10 seconds, and kubelet pulls again.",
		spoil: func(n *node) func() {
			i := n.image(signed)
			came, release := n.registry.hold()
			defer release()
			done := n.background(i)
			n.during(came, done)
			for _, pid := range n.verifierPIDs() {
				require.NoError(n.t, syscall.Kill(pid, syscall.SIGSTOP))
			}
			release()
			require.ErrorContains(n.t, <-done, "image verifier bindir returned error")
			return func() {}
		},
	},
	{
		name: "the verifier cannot be executed", pull: refused("permission denied"), create: works, remedy: installAgain,
		spoil: func(n *node) func() {
			require.NoError(n.t, os.Chmod(n.verifier(), 0))
			return func() { require.NoError(n.t, os.Chmod(n.verifier(), 0o755)) }
		},
	},
	{
		name: "the verifier is gone", open: true, pull: works, create: works, remedy: installAgain,
		spoil: func(n *node) func() { return n.aside(n.verifier()) },
	},
	{
		name: "the folder of verifiers is gone", open: true, pull: works, create: works, remedy: installAgain,
		spoil: func(n *node) func() { return n.aside(n.Verifiers()) },
	},
	{
		name: "a stray file is beside the verifier", pull: refused("permission denied"), create: works, remedy: "Remove it: containerd takes everything there for a verifier.",
		spoil: func(n *node) func() {
			stray := filepath.Join(n.Verifiers(), "README")
			n.write(stray, "")
			return func() { n.remove(stray) }
		},
		// The verifier before it in the folder has given its answer.
		unrecorded: true,
	},
	{
		name: "another verifier admits everything", pull: works, create: works, remedy: "Nothing: both have to admit an image.",
		spoil: func(n *node) func() {
			other := filepath.Join(n.Verifiers(), "another")
			n.write(other, "#!/bin/sh\nexit 0\n")
			require.NoError(n.t, os.Chmod(other, 0o755))
			return func() { n.remove(other) }
		},
	},
}

// replaceVerifier puts the same program there as another file.
func (n *node) replaceVerifier() {
	n.t.Helper()
	data := n.read(n.verifier())
	tmp := filepath.Join(n.Dir, "tmp", "verifier.new")
	require.NoError(n.t, os.WriteFile(tmp, []byte(data), 0o755))
	require.NoError(n.t, os.Rename(tmp, n.verifier()))
}
