// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/verify/receipt"
)

// An answer is what plomb told containerd, as far as containerd told us.
type answer struct {
	Point    receipt.Point `json:"point"`
	Digest   digest.Digest `json:"digest"`
	Admitted bool          `json:"admitted"`
}

// The ledger counts the answers that there has to be a receipt of.
type ledger struct {
	mu    sync.Mutex
	given map[answer]int
	// open: the answers are not plomb's. unrecorded: it refuses without receipts,
	// and only what it admits has to have one.
	open, unrecorded bool
}

func (l *ledger) add(a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open || l.unrecorded && !a.Admitted {
		return
	}
	if l.given == nil {
		l.given = map[answer]int{}
	}
	l.given[a]++
}

// pull pulls through CRI.
func (n *node) pull(i image) error {
	_, err := n.cri.PullImage(n.t.Context(), i.ref)
	reason := cri.Reason(err)
	switch {
	case err == nil:
		n.ledger.add(answer{receipt.Pull, i.index, true})
	case strings.Contains(reason, "rejected image (exit code 1)") && !strings.Contains(reason, "receipts cannot be written"):
		n.ledger.add(answer{receipt.Pull, i.index, false})
	}
	if err != nil {
		return fmt.Errorf("%s", reason)
	}
	return nil
}

// create creates a container and removes it again.
func (n *node) create(i image) error {
	id, err := n.container(i)
	if err == nil {
		err = n.cri.RemoveContainer(n.t.Context(), id)
	}
	return err
}

// container creates one.
func (n *node) container(i image) (id string, err error) {
	n.count++
	id, err = n.cri.CreateContainer(n.t.Context(), n.pod, cri.ContainerOptions{Name: fmt.Sprintf("c%d", n.count), Image: i.ref})
	reason := cri.Reason(err)
	switch {
	case err == nil:
		n.ledger.add(answer{receipt.Create, i.index, true})
	case strings.Contains(reason, "plomb: image") && !strings.Contains(reason, "the agent"):
		n.ledger.add(answer{receipt.Create, i.index, false})
	}
	if err != nil {
		return "", fmt.Errorf("%s", reason)
	}
	return id, nil
}

// honest demands that the log is whole, and has every answer.
func (n *node) honest() {
	n.t.Helper()
	report, err := receipt.CheckLog(n.receipts())
	require.NoError(n.t, err)
	require.Empty(n.t, report.Faults, "the log of receipts is not what was written")
	found := n.found()
	n.ledger.mu.Lock()
	defer n.ledger.mu.Unlock()
	for a, count := range n.ledger.given {
		require.LessOrEqual(n.t, count, found[a], "answers of which there is no receipt: %+v", a)
	}
}

// found counts the receipts of answers.
func (n *node) found() map[answer]int {
	n.t.Helper()
	files, err := filepath.Glob(filepath.Join(n.receipts(), "receipts-*.jsonl"))
	require.NoError(n.t, err)
	require.NotEmpty(n.t, files)
	found := map[answer]int{}
	for _, path := range files {
		data, err := os.ReadFile(path)
		require.NoError(n.t, err)
		for line := range bytes.Lines(data) {
			var a answer
			if json.Unmarshal(line, &a) == nil {
				found[a]++
			}
		}
	}
	return found
}
