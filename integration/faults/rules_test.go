// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/canary"
	"github.com/plombproject/plomb/verify/verifytest"
)

const (
	mendPolicy = "Mend it: the last good one counts until then, as long as the agent runs."
	mendNow    = "Mend it. In need: [break-glass](node.md)."
	noEffect   = "Remove it: it has no effect."
)

var ruleFaults = []fault{
	{
		name: "a policy cannot be parsed", pull: works, create: works, remedy: mendPolicy,
		spoil: func(n *node) func() { return n.swap(n.policyFile(), "kind: [", "policy") },
		look:  func(n *node) { require.NotEmpty(n.t, n.status().Policy.Error) },
	},
	{
		name: "a policy cannot be parsed and the agent starts anew", pull: refused("undecided"), create: refused("undecided"), remedy: mendNow,
		spoil: func(n *node) func() {
			n.stopAgent()
			mend := n.swap(n.policyFile(), "kind: [", "")
			n.startAgent()
			return mend
		},
	},
	{
		name: "the policy folder is empty", pull: refused("no policy"), create: refused("no policy"), remedy: "Put a policy there: without any, every image is denied.",
		spoil: func(n *node) func() {
			before := n.status().Policy.Digest
			back := n.aside(n.policyFile())
			n.soon("the policy is in force", func() error { return changed(before, n.status().Policy.Digest) })
			return func() {
				back()
				n.soon("the policy is in force again", func() error { return same(before, n.status().Policy.Digest) })
			}
		},
	},
	{
		name: "the policy folder is gone", pull: works, create: works, remedy: mendPolicy,
		spoil: func(n *node) func() {
			kept := n.Policy + ".kept"
			require.NoError(n.t, os.Rename(n.Policy, kept))
			return n.settled("policy", func() { require.NoError(n.t, os.Rename(kept, n.Policy)) })
		},
	},
	{
		name: "a policy is a link to nothing", pull: works, create: works, remedy: mendPolicy,
		spoil: func(n *node) func() {
			back := n.aside(n.policyFile())
			require.NoError(n.t, os.Symlink("/nowhere", n.policyFile()))
			return n.settled("policy", back)
		},
	},
	{
		name: "the policy changes in mid-pull to one that denies", pull: refused("signed by somebody else"), create: refused("signed by somebody else"), remedy: "Restore the policy.",
		spoil: func(n *node) func() {
			i := n.image(signed)
			came, release := n.registry.hold()
			defer release()
			done := n.background(i)
			n.during(came, done)
			before := n.status().Policy.Digest
			n.write(n.policyFile(), n.policy("https://example.com/somebody-else"))
			n.soon("the policy is in force", func() error { return changed(before, n.status().Policy.Digest) })
			release()
			<-done // by either, since it began under the old one
			return func() {
				n.write(n.policyFile(), n.policy(verifytest.Subject))
				n.soon("the policy is in force again", func() error { return same(before, n.status().Policy.Digest) })
			}
		},
	},
	{
		name: "the trusted root cannot be parsed", pull: works, create: works, remedy: mendPolicy,
		spoil: func(n *node) func() { return n.swap(n.TrustedRoot(), `{"mediaType": 1`, "trust") },
		look:  func(n *node) { require.NotEmpty(n.t, n.status().Trust.Error) },
	},
	{
		name: "the trusted root is gone", pull: works, create: works, remedy: mendPolicy,
		spoil: func(n *node) func() { return n.settled("trust", n.aside(n.TrustedRoot())) },
	},
	{
		name: "the trusted root is gone and the agent starts anew", pull: refused("undecided"), create: refused("undecided"), remedy: mendNow,
		spoil: func(n *node) func() {
			n.stopAgent()
			back := n.aside(n.TrustedRoot())
			n.startAgent()
			return func() { back(); n.goodTrust() }
		},
	},
	{
		name: "the keys of the trusted root have expired", pull: refused("log key not in force"), create: refused("log key not in force"), remedy: "`plomb trust update`.",
		spoil: func(n *node) func() {
			old := n.sigstore.TrustedRoot(n.t, verifytest.RootOptions{RekorUntil: time.Now().Add(-24 * time.Hour)})
			return n.swap(n.TrustedRoot(), string(old), "trust digest")
		},
	},
	{
		name: "the trusted root is another authority's", pull: refused("no valid transparency log entry"), create: refused("no valid transparency log entry"), remedy: "Restore it.",
		spoil: func(n *node) func() {
			return n.swap(n.TrustedRoot(), string(n.root(verifytest.NewSigstore(n.t))), "trust digest")
		},
	},
	{
		name: "node.yaml cannot be parsed", pull: works, create: works, remedy: "Mend it before the agent starts anew.",
		spoil: func(n *node) func() { return n.swap(n.NodeConfig(), "name: [", "") },
	},
	{
		name: "node.yaml cannot be parsed and the agent starts anew", pull: refused("invalid setting"), create: locked,
		remedy: "Mend it: `plomb agent` says where.",
		spoil: func(n *node) func() {
			n.stopAgent()
			mend := n.swap(n.NodeConfig(), "name: [", "")
			n.agentRefuses("invalid setting")
			return func() { mend(); n.startAgent() }
		},
	},
	{
		name: "mode.json cannot be parsed", pull: works, create: works, remedy: "`plomb node mode enforce`: it counts as that.",
		spoil: func(n *node) func() { return n.swap(n.state("mode.json"), `{"mode": "aud`, "") },
	},
	{
		name: "mode.json is gone", pull: works, create: works, remedy: "`plomb node mode enforce`: it counts as that.",
		spoil: func(n *node) func() { return n.aside(n.state("mode.json")) },
	},
	{
		name: "another user sets the mode to audit", pull: works, create: works, remedy: "Find out how: the folder is root's, 0700.",
		spoil: func(n *node) func() {
			back := n.aside(n.state("mode.json"))
			require.NoError(n.t, admission.WriteMode(n.state("mode.json"), admission.State{Mode: admission.Audit, Since: time.Now()}))
			require.NoError(n.t, os.Chown(n.state("mode.json"), nobody, nobody))
			return back
		},
	},
	{
		name: "a break-glass is over", pull: works, create: works, remedy: "Nothing.",
		spoil: func(n *node) func() {
			return n.glass(admission.BreakGlass{Reason: "over", Since: time.Now().Add(-2 * time.Hour), Until: time.Now().Add(-time.Hour)}, 0o600)
		},
	},
	{
		name: "a break-glass lasts longer than 12 hours", pull: works, create: works, remedy: "`plomb node break-glass --for 12h`.",
		spoil: func(n *node) func() {
			return n.glass(admission.BreakGlass{Reason: "for good", Since: time.Now().Add(-time.Hour), Until: time.Now().Add(24 * time.Hour)}, 0o600)
		},
	},
	{
		name: "others can write to the break-glass", pull: works, create: works, remedy: "chmod 600 it, if it is meant.",
		spoil: func(n *node) func() {
			return n.glass(admission.BreakGlass{Reason: "anybody", Since: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}, 0o666)
		},
	},
	{
		name: "the snapshot cannot be parsed", pull: works, create: works, remedy: "`plomb node snapshot`: until then it pins nothing.",
		spoil: func(n *node) func() { return n.snapshot(`{"images": [`, 0o600) },
	},
	{
		name: "others can write to the snapshot", pull: works, create: works, remedy: "Find out who did; then `plomb node snapshot`.",
		spoil: func(n *node) func() {
			data, err := json.Marshal(admission.Snapshot{TakenAt: time.Now(), Images: []admission.Pinned{{Name: n.stored.ref, Digests: []digest.Digest{n.stored.index}}}})
			require.NoError(n.t, err)
			return n.snapshot(string(data), 0o666)
		},
	},
	{
		name: "a canary was left over", pull: works, create: works, remedy: noEffect,
		spoil: func(n *node) func() { return n.canary(time.Now().Add(-10*time.Minute), 5*time.Minute) },
	},
	{
		name: "a canary is to be believed for hours", pull: works, create: works, remedy: noEffect,
		spoil: func(n *node) func() { return n.canary(time.Now().Add(-time.Minute), 10*time.Hour) },
	},
}

// swap replaces a file, waits until the agent has seen that of policy or trust,
// and gives the way back.
func (n *node) swap(path, text, of string) (mend func()) {
	n.t.Helper()
	before, trust := n.read(path), digest.Digest("")
	if of != "" {
		trust = n.status().Trust.Digest
	}
	mode, err := os.Stat(path)
	require.NoError(n.t, err)
	put := func(text string) {
		n.write(path, text)
		require.NoError(n.t, os.Chmod(path, mode.Mode().Perm()))
	}
	put(text)
	switch of {
	case "":
		return func() { put(before) }
	case "trust digest":
		n.soon("the agent sees it", func() error { return changed(trust, n.status().Trust.Digest) })
		return func() {
			put(before)
			n.soon("the agent sees it", func() error { return same(trust, n.status().Trust.Digest) })
		}
	}
	return n.settled(of, func() { put(before) })
}

func changed(before, now digest.Digest) error {
	if before == now {
		return fmt.Errorf("it is still %s", now)
	}
	return nil
}

func same(before, now digest.Digest) error {
	if before != now {
		return fmt.Errorf("it is %s, not %s", now, before)
	}
	return nil
}

// settled waits until the agent says that something is wrong with the policy or
// the trusted root, and afterwards until it no longer does.
func (n *node) settled(of string, back func()) (mend func()) {
	n.t.Helper()
	fault := func() string {
		s := n.status()
		if strings.HasPrefix(of, "trust") {
			return s.Trust.Error
		}
		return s.Policy.Error
	}
	n.soon("the agent sees that the "+of+" is broken", func() error {
		if fault() == "" {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	return func() {
		back()
		n.soon("the agent sees that the "+of+" is mended", func() error {
			if text := fault(); text != "" {
				return fmt.Errorf("%s", text)
			}
			return nil
		})
	}
}

// goodTrust waits until the trusted root is read.
func (n *node) goodTrust() {
	n.soon("the trusted root is read", func() error {
		if text := n.status().Trust.Error; text != "" {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
}

// glass puts a break-glass there that opens nothing.
func (n *node) glass(g admission.BreakGlass, mode os.FileMode) (mend func()) {
	n.t.Helper()
	path := filepath.Join(filepath.Dir(n.NodeConfig()), "break-glass.json")
	n.write(path, string(n.document(g)))
	require.NoError(n.t, os.Chmod(path, mode))
	return func() { n.remove(path) }
}

func (n *node) snapshot(text string, mode os.FileMode) (mend func()) {
	n.t.Helper()
	path := n.state("snapshot.json")
	n.write(path, text)
	require.NoError(n.t, os.Chmod(path, mode))
	return func() { n.remove(path) }
}

// canary leaves a canary about images of the registry, which one that its key
// has signed cannot use.
func (n *node) canary(since time.Time, last time.Duration) (mend func()) {
	n.t.Helper()
	key := verifytest.NewKey(n.t, "p256")
	path := n.state("canary.json")
	of := func(since time.Time, last time.Duration) image {
		n.write(path, string(n.document(canary.Canary{
			Prefix: n.registry.addr + canary.Folder, Key: string(verifytest.PublicPEM(n.t, key)), Since: since, Until: since.Add(last),
		})))
		return n.imageWith(strings.TrimPrefix(canary.Folder, "/")+"app", verifytest.BundleOptions{Key: key, NoLogEntry: true, NoTimestamp: true})
	}
	require.NoError(n.t, n.pull(of(time.Now().Add(-time.Second), time.Minute)), "a canary as it should be")
	require.Error(n.t, n.pull(of(since, last)), "the canary is believed")
	return func() { n.remove(path) }
}
