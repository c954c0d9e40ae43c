// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
)

// Denied is a container that runs and could not be created again once the node
// enforces.
type Denied struct {
	Subject string
	Name    string
	Digest  digest.Digest
	Verdict decision.Verdict
	Reason  string
}

// A DeniedError refuses to enforce. It is ErrDenied.
type DeniedError struct {
	// Mode is the one that the node stays in.
	Mode       admission.Mode
	Containers []Denied
}

func (e *DeniedError) Unwrap() error { return ErrDenied }

// Error has a line for each container.
func (e *DeniedError) Error() string {
	var b strings.Builder
	noun := "containers that run"
	if len(e.Containers) == 1 {
		noun = "container that runs"
	}
	fmt.Fprintf(&b, "%v: %d %s could not be started again; the node stays in mode %s", ErrDenied, len(e.Containers), noun, e.Mode)
	for _, c := range e.Containers {
		fmt.Fprintf(&b, "\n  %s: %s@%s: %s: %s", c.Subject, c.Name, c.Digest, c.Verdict, c.Reason)
	}
	b.WriteString("\nSign them, write a policy that admits them, have them start as long as they stay as they are " +
		"(plomb node snapshot), or enforce all the same (--force)")
	return b.String()
}

// Denied asks the agent about everything that runs, and returns what could not
// be created again in enforce mode.
func (n *Node) Denied(ctx context.Context) ([]Denied, error) {
	running, err := n.Inventory.Running(ctx)
	if err != nil {
		return nil, err
	}
	snapshot, err := admission.ReadSnapshot(n.Settings.Snapshot())
	if err != nil {
		return nil, err
	}
	var denied []Denied
	known := map[digest.Digest]*decision.Decision{}
	for _, c := range running {
		if c.Sandbox || snapshot.Has(c.Image.Digests...) != "" {
			continue
		}
		d, err := n.decide(ctx, c, known)
		if err != nil {
			return nil, err
		}
		if d.Verdict != decision.Allow {
			denied = append(denied, Denied{c.Subject, c.Image.Name, c.digest(), d.Verdict, decision.OneLine(d.Reason)})
		}
	}
	return denied, nil
}

func (n *Node) decide(ctx context.Context, c Container, known map[digest.Digest]*decision.Decision) (*decision.Decision, error) {
	if d := known[c.digest()]; d != nil {
		return d, nil
	}
	if c.digest() == "" {
		return &decision.Decision{Verdict: decision.Undecided, Reason: "its image is not on the node any more"}, nil
	}
	a, err := n.Agent.Verify(ctx, control.Question{Point: receipt.Check, Name: c.Image.Name, Digest: c.digest(), Stored: true})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Subject, err)
	}
	if a.Decision == nil {
		return nil, fmt.Errorf("%s: %w: it gave no decision", c.Subject, ErrAgent)
	}
	known[c.digest()] = a.Decision
	return a.Decision, nil
}

// digest is the one that the image's name was resolved to.
func (c Container) digest() digest.Digest {
	if len(c.Image.Digests) == 0 {
		return ""
	}
	return c.Image.Digests[0]
}
