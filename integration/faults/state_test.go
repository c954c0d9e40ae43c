// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/verify/receipt"
)

const (
	noReceipts = "receipts cannot be written"
	makeRoom   = "Make room. In need: [break-glass](node.md), which admits without receipts, loudly."
	forgotten  = "Nothing: it is verified anew. If the disk did not do it, find out who writes there."
)

var stateFaults = []fault{
	{
		name: "the disk of the receipts is full", pull: refused(noReceipts), create: refused(noReceipts), unrecorded: true, remedy: makeRoom,
		spoil: func(n *node) func() {
			empty := n.fill(n.NodeState())
			n.useUp()
			return empty
		},
		look: breakGlass,
	},
	{
		name: "the disk of the verdicts is full", pull: works, create: works, remedy: "Make room: verdicts count until the agent ends.",
		spoil: func(n *node) func() {
			own := filepath.Base(n.verdictOf(n.known))
			text := n.read(n.verdictOf(n.known))
			require.NoError(n.t, unix.Mount("plomb-faults", n.verdicts(), "tmpfs", 0, "size=64k,mode=0700"))
			n.write(filepath.Join(n.verdicts(), own), text)
			n.fill(n.verdicts())
			return func() { require.NoError(n.t, unix.Unmount(n.verdicts(), unix.MNT_DETACH)) }
		},
	},
	{
		name: "the disk has no inodes left", pull: works, create: works, remedy: "Make room: verdicts count until the agent ends.",
		spoil: func(n *node) func() {
			dir := n.state("inodes")
			require.NoError(n.t, os.Mkdir(dir, 0o700))
			var err error
			for k := 0; err == nil; k++ {
				err = os.WriteFile(filepath.Join(dir, fmt.Sprint(k)), nil, 0o600)
			}
			require.ErrorIs(n.t, err, syscall.ENOSPC)
			return func() { n.remove(dir) }
		},
	},
	{
		name: "the disk is read-only", pull: refused(noReceipts), create: refused(noReceipts), unrecorded: true,
		remedy: "Mount it for writing. In need: [break-glass](node.md), whose file lies elsewhere.",
		spoil: func(n *node) func() {
			n.stopAgent() // or the disk is busy
			require.NoError(n.t, unix.Mount("", n.NodeState(), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
			n.startAgent()
			return func() {
				n.stopAgent()
				require.NoError(n.t, unix.Mount("", n.NodeState(), "", unix.MS_REMOUNT, ""))
				n.startAgent()
			}
		},
		look: breakGlass,
	},
	{
		name: "the disk of the receipts hangs", pull: refused(noReceipts), create: refused(noReceipts), unrecorded: true,
		remedy: "Find out what holds the lock of the receipts, or why the disk is slow.",
		spoil:  func(n *node) func() { return n.lockReceipts() },
	},
	{
		name: "a file is in the place of the receipts", pull: refused(noReceipts), create: refused(noReceipts), unrecorded: true,
		remedy: "Put the folder back, or remove the file: a new log begins.",
		spoil: func(n *node) func() {
			back := n.aside(n.receipts())
			n.write(n.receipts(), "")
			return back
		},
	},
	{
		name: "the folder of the receipts is another user's", pull: refused(noReceipts), create: refused(noReceipts), unrecorded: true,
		remedy: "chown it to root, and check the log: `plomb audit verify-log`.",
		spoil: func(n *node) func() {
			require.NoError(n.t, os.Chown(n.receipts(), nobody, nobody))
			return func() { require.NoError(n.t, os.Chown(n.receipts(), 0, 0)) }
		},
	},
	{
		name: "the receipts are removed", pull: works, create: works, lost: true,
		remedy: "Restore them. The new log goes on from the hash of the last one, which `plomb audit verify-log` tells.",
		spoil: func(n *node) func() {
			require.NoError(n.t, n.pull(n.known)) // so that the agent has written since it started
			return n.aside(n.receipts())
		},
		look: func(n *node) {
			report, err := receipt.CheckLog(n.receipts())
			require.NoError(n.t, err)
			require.Len(n.t, report.Faults, 1)
			require.Equal(n.t, receipt.CodeChain, report.Faults[0].Code)
		},
	},
	{
		name: "the last receipt is torn", pull: works, create: works, remedy: "Nothing: what a crash left is set aside, and noted.",
		spoil: func(n *node) func() {
			n.killAgent()
			path := n.lastReceipts()
			before := n.read(path)
			require.NoError(n.t, appendTo(path, `{"schema":"https://plombproject.github.io/rec`))
			n.startAgent()
			n.soon("the agent is listed", func() error { return n.create(n.known) })
			require.True(n.t, strings.HasPrefix(n.read(path), before))
			return func() {}
		},
		look: func(n *node) {
			report, err := receipt.CheckLog(n.receipts())
			require.NoError(n.t, err)
			require.Contains(n.t, fmt.Sprint(report.Notes), "set aside")
		},
	},
	{
		name: "somebody edits a receipt", pull: works, create: works, remedy: "Compare with the [checkpoints](receipts.md) that were kept elsewhere.",
		spoil: func(n *node) func() {
			path := n.lastReceipts()
			lie := func(old, new string) {
				data := []byte(n.read(path))
				at := bytes.Index(data, []byte(old))
				require.Positive(n.t, at)
				// In place: the agent has it open.
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				require.NoError(n.t, err)
				_, err = f.WriteAt([]byte(new), int64(at))
				require.NoError(n.t, errors.Join(err, f.Close()))
			}
			const truth, untruth = `"code":"unsigned"`, `"code":"unsightl"`
			lie(truth, untruth)
			return func() { lie(untruth, truth) }
		},
		look: func(n *node) {
			report, err := receipt.CheckLog(n.receipts())
			require.NoError(n.t, err)
			require.Len(n.t, report.Faults, 1)
			require.Equal(n.t, receipt.CodeChain, report.Faults[0].Code)
		},
	},
	{
		name: "a verdict is overwritten with noise", pull: works, create: soon, remedy: forgotten,
		spoil: func(n *node) func() { n.write(n.verdictOf(n.known), "\x00\x17\xff noise"); return func() {} },
	},
	{
		name: "a verdict is cut off", pull: works, create: soon, remedy: forgotten,
		spoil: func(n *node) func() {
			require.NoError(n.t, os.Truncate(n.verdictOf(n.known), 100))
			return func() {}
		},
	},
	{
		name: "the verdicts are removed", pull: works, create: soon, remedy: "Restart the agent: until then verdicts are in memory alone.",
		spoil: func(n *node) func() { n.remove(n.verdicts()); return n.restartAgent },
	},
	{
		name: "a verdict is copied over another image's", pull: works, create: works, remedy: forgotten,
		spoil: func(n *node) func() {
			text := n.read(n.verdictOf(n.known))
			n.restartedWith(func() { n.write(n.forgedName(text, n.stored), text) })
			return func() {}
		},
	},
	{
		name: "a verdict is edited to be about another image", pull: works, create: works, remedy: forgotten,
		spoil: func(n *node) func() {
			text := n.read(n.verdictOf(n.known))
			edited := strings.ReplaceAll(text, n.known.index.String(), n.stored.index.String())
			n.restartedWith(func() { n.write(n.forgedName(text, n.stored), edited) })
			return func() {}
		},
	},
	{
		name: "another user has forged a verdict", pull: works, create: works, remedy: "Find out how: the folder is root's, 0700.",
		spoil: func(n *node) func() {
			text := n.read(n.verdictOf(n.known))
			path := n.forgedName(text, n.stored)
			// Root's would count: it is a good forgery.
			n.restartedWith(func() { n.write(path, n.forged(text, n.known, n.stored)) })
			require.NoError(n.t, n.create(n.stored))
			n.restartedWith(func() { require.NoError(n.t, os.Chown(path, nobody, nobody)) })
			return func() { require.NoFileExists(n.t, path) }
		},
	},
	{
		name: "a verdict that others can write to was forged", pull: works, create: works, remedy: "Find out how: the folder is root's, 0700.",
		spoil: func(n *node) func() {
			text := n.read(n.verdictOf(n.known))
			path := n.forgedName(text, n.stored)
			n.restartedWith(func() {
				n.write(path, n.forged(text, n.known, n.stored))
				require.NoError(n.t, os.Chmod(path, 0o666))
			})
			return func() { require.NoFileExists(n.t, path) }
		},
	},
	{
		name: "others can write to the folder of the verdicts", pull: works, create: locked, remedy: "Remove it, and start the agent: what it holds proves nothing.",
		spoil: func(n *node) func() {
			text := n.read(n.verdictOf(n.known))
			n.stopAgent()
			n.write(n.forgedName(text, n.stored), n.forged(text, n.known, n.stored))
			require.NoError(n.t, os.Chmod(n.verdicts(), 0o777))
			n.agentRefuses("can be written by others")
			return func() { n.remove(n.verdicts()); n.startAgent() }
		},
	},
	{
		name: "the clock was put back after a verdict", pull: works, create: soon, remedy: "Set the clock: NTP.",
		spoil: func(n *node) func() {
			path := n.verdictOf(n.known)
			n.restartless(path, func(d map[string]any) { d["decidedAt"] = time.Now().Add(time.Hour).UTC() })
			return func() {}
		},
	},
	{
		name: "a verdict is older than its day", pull: works, create: soon, remedy: forgotten,
		spoil: func(n *node) func() {
			path := n.verdictOf(n.known)
			n.restartless(path, func(d map[string]any) { d["decidedAt"] = time.Now().Add(-25 * time.Hour).UTC() })
			return func() {}
		},
	},
}

// breakGlass is what helps a node that cannot write what it does.
func breakGlass(n *node) {
	open := n.ledger.open
	n.ledger.open = true // there are no receipts of what is admitted then
	defer func() { n.ledger.open = open }()
	glass := func(args ...string) harness.Command {
		return harness.Command{On: n.Stand, Name: "plomb", Args: append([]string{"node", "break-glass"}, args...)}
	}
	func() {
		defer glass("--end").Run(n.t)
		p := glass("--reason", "the disk", "--for", "1h").Run(n.t)
		require.NoError(n.t, n.create(n.known), p.All)
	}()
	require.Error(n.t, n.create(n.known))
}

// fill takes all room of a disk.
func (n *node) fill(dir string) (empty func()) {
	n.t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	require.NoError(n.t, err)
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err = f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	require.ErrorIs(n.t, err, syscall.ENOSPC)
	return func() { n.remove(path) }
}

// useUp fills the page that the log ends in.
func (n *node) useUp() {
	n.t.Helper()
	i := n.image(unsigned)
	for range 6 {
		require.Error(n.t, n.pull(i))
	}
}

func (n *node) lastReceipts() string {
	n.t.Helper()
	files, err := filepath.Glob(filepath.Join(n.receipts(), "receipts-*.jsonl"))
	require.NoError(n.t, err)
	require.NotEmpty(n.t, files)
	return files[len(files)-1]
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// verdictOf is the file with the verdict about an image.
func (n *node) verdictOf(i image) string {
	n.t.Helper()
	files, err := filepath.Glob(filepath.Join(n.verdicts(), "*.verdict"))
	require.NoError(n.t, err)
	for _, path := range files {
		if strings.Contains(n.read(path), `"`+i.ref+`"`) {
			return path
		}
	}
	require.Fail(n.t, "no verdict about "+i.ref)
	return ""
}

// forgedName is where a verdict about an image would lie, by the policy that
// another one names: package verdicts, idOf.
func (n *node) forgedName(text string, i image) string {
	n.t.Helper()
	var r struct {
		Basis struct{ Policy digest.Digest } `json:"basis"`
	}
	_, body, _ := strings.Cut(text, "\n")
	require.NoError(n.t, json.Unmarshal([]byte(body), &r))
	id := digest.FromString(fmt.Sprintf("%s\n%s\n%q\n", r.Basis.Policy, i.index, i.ref))
	return filepath.Join(n.verdicts(), id.Encoded()+".verdict")
}

// forged is a verdict rewritten to be about another image, with the checksum of
// what it now says.
func (n *node) forged(text string, from, to image) string {
	_, body, _ := strings.Cut(text, "\n")
	body = strings.ReplaceAll(body, from.index.String(), to.index.String())
	body = strings.ReplaceAll(body, from.ref, to.ref)
	for k, dgst := range from.all {
		if k < len(to.all) {
			body = strings.ReplaceAll(body, dgst.String(), to.all[k].String())
		}
	}
	return digest.FromString(body).String() + "\n" + body
}

// restartedWith changes files while the agent is away.
func (n *node) restartedWith(change func()) {
	n.t.Helper()
	n.stopAgent()
	change()
	n.startAgent()
	n.soon("the agent is listed", func() error { return n.create(n.known) })
}

// restartless rewrites a decision with its checksum and starts the agent anew,
// without any container being made.
func (n *node) restartless(path string, change func(decision map[string]any)) {
	n.t.Helper()
	_, body, _ := strings.Cut(n.read(path), "\n")
	var r map[string]any
	require.NoError(n.t, json.Unmarshal([]byte(body), &r))
	change(r["decision"].(map[string]any))
	data, err := json.Marshal(r)
	require.NoError(n.t, err)
	data = append(data, '\n')
	n.stopAgent()
	n.write(path, digest.FromBytes(data).String()+"\n"+string(data))
	n.startAgent()
	// Listed comes after connected, and tells of itself by another image.
	n.soon("the agent is listed", func() error {
		if err := n.create(n.stored); !strings.Contains(err.Error(), "not present") {
			return nil
		}
		return errors.New("not yet")
	})
}
