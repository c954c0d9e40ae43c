// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/containerd"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/verify/policy"
)

// startAgent is what brings an agent back.
const startAgent = "systemctl start plomb-agent, or plomb node install"

// node is about plomb's own files and the agent.
func (p *proof) node(ctx context.Context) {
	p.Progress("the node's mode, policy and agent")
	p.mode()
	p.breakGlass()
	p.policy()
	p.receipts()
	if !p.Agentless {
		p.agent(ctx)
	}
}

func (p *proof) mode() {
	state, err := admission.ReadMode(p.Settings.Mode())
	switch {
	case err != nil:
		p.add(Check{ID: CheckMode, Status: Warn, Detail: err.Error(), Remedy: "plomb node mode enforce"})
	case state.Mode == admission.Enforce:
		p.add(Check{ID: CheckMode, Status: Pass, Detail: "the node enforces"})
	default:
		p.add(Check{ID: CheckMode, Status: Fail, Detail: fmt.Sprintf("the node is in %s mode: what is denied is admitted", state.Mode), Remedy: "plomb node mode enforce"})
	}
}

func (p *proof) breakGlass() {
	path := p.Settings.BreakGlass()
	glass, err := admission.ReadBreakGlass(path, time.Now())
	switch {
	case err != nil:
		p.add(Check{ID: CheckBreakGlass, Status: Warn, Detail: err.Error() + "; it opens nothing", Remedy: "remove " + path})
	case glass != nil:
		p.add(Check{ID: CheckBreakGlass, Status: Fail, Detail: "the glass is broken, every image is admitted: " + glass.String(), Remedy: "plomb node break-glass --end"})
	default:
		p.add(Check{ID: CheckBreakGlass, Status: Pass, Detail: "the glass is whole"})
	}
}

// policy warns of what admits everything: that is enforced too.
func (p *proof) policy() {
	set, err := policy.Load(p.Settings.Policy)
	if err != nil {
		p.add(Check{ID: CheckPolicy, Status: Warn, Detail: "the policy cannot be used, and admits nothing that it did not before: " + err.Error(), Remedy: "plomb policy check " + p.Settings.Policy})
		return
	}
	lax := false
	warn := func(detail, remedy string) {
		lax = true
		p.add(Check{ID: CheckPolicy, Status: Warn, Detail: detail, Remedy: remedy})
	}
	if len(set.Policies()) == 0 {
		warn("there is no policy in "+p.Settings.Policy+": every image is refused", "write one there")
	}
	if p.Settings.NoMatch != policy.NoMatchDeny {
		warn("images that no policy is about are admitted: PLOMB_NO_MATCH_POLICY is "+string(p.Settings.NoMatch), "take it out of the environment")
	}
	for _, pol := range set.Policies() {
		if pol.Mode == policy.Warn {
			warn(fmt.Sprintf("policy %s (%s) only warns: what it refuses is admitted", pol.Name, pol.Origin), "spec.mode: enforce")
		}
	}
	if by := admitsAnything(set); by != "" {
		warn("images of any name are admitted without a signature, by policy "+by, "narrow its glob, or name authorities")
	}
	if !lax {
		p.add(Check{ID: CheckPolicy, Status: Pass, Detail: fmt.Sprintf("no policy admits everything (policies: %d)", len(set.Policies()))})
	}
}

// admitsAnything is the policy by which an image that nobody can have thought
// of is admitted, whatever it is; or "".
func admitsAnything(set *policy.Set) string {
	about, err := set.Select("nobody.invalid/some/image:v1", digest.FromString("nobody's"))
	if err != nil || len(about) == 0 {
		return ""
	}
	for _, pol := range about {
		if !slices.ContainsFunc(pol.Authorities, func(a policy.Authority) bool { return a.Static != nil && a.Static.Pass }) {
			return ""
		}
	}
	return about[0].Name + " (" + about[0].Origin + ")"
}

// receipts are written before an answer is given, so a log that cannot be
// written stops the node.
func (p *proof) receipts() {
	dir := p.Settings.Receipts()
	c := Check{ID: CheckReceipts, Status: Pass, Detail: "receipts can be written to " + dir}
	var fs unix.Statfs_t
	switch err := unix.Access(dir, unix.W_OK); {
	case err == unix.ENOENT: //nolint:errorlint // of the system call itself
		c.Status, c.Detail = Warn, "there is no folder for receipts yet: "+dir
	case err != nil:
		c.Status, c.Detail, c.Remedy = Fail, "receipts cannot be written to "+dir+", and nothing is admitted without: "+err.Error(), "make it writable for root"
	default:
		if err := unix.Statfs(dir, &fs); err == nil && (fs.Bavail == 0 || fs.Files > 0 && fs.Ffree == 0) {
			c.Status, c.Detail, c.Remedy = Fail, "receipts cannot be written to "+dir+", and nothing is admitted without: the disk is full", "make room"
		}
	}
	p.add(c)
}

func (p *proof) agent(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := p.agentStatus(ctx)
	if err != nil {
		c := Check{ID: CheckAgent, Status: Fail, Detail: "the agent does not answer: containers are not checked when they are created, and each pull is verified anew", Remedy: startAgent, at: containerd.AtCreate}
		if p.notAtCreate() {
			c.Status, c.Detail = Warn, "the agent does not answer: each pull is verified anew, by plomb-verifier itself"
		}
		p.add(c)
		return
	}
	switch {
	case p.notAtCreate() || s.NRI.Connected:
		p.add(Check{ID: CheckAgent, Status: Pass, Detail: fmt.Sprintf("the agent answers, version %s, since %s", s.Version, s.Since.UTC().Format(time.RFC3339))})
	default:
		p.add(Check{ID: CheckAgent, Status: Fail, Detail: "the agent is " + cmp.Or(s.NRI.Error, "not connected to containerd's NRI"), Remedy: p.connectRemedy(), at: containerd.AtCreate})
	}
	for _, fault := range s.Faults {
		p.add(Check{ID: CheckAgent, Status: Warn, Detail: "the agent says: " + fault})
	}
}

// reconnect is how long an agent may take to find a containerd that was just
// restarted: it tries once a second at the least.
const reconnect = 3 * time.Second

// agentStatus asks the agent, again for a while if it has lost containerd.
func (p *proof) agentStatus(ctx context.Context) (control.Status, error) {
	agent := control.New(p.Settings.Control())
	for deadline := time.Now().Add(reconnect); ; {
		s, err := agent.Status(ctx)
		if err != nil || s.NRI.Connected || p.notAtCreate() || time.Now().After(deadline) {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// connectRemedy says what connects the agent, as far as a configuration can.
func (p *proof) connectRemedy() string {
	if want := p.facts.NRISocket; want != "" && want != p.Settings.Node.NRI.Socket {
		return "nri.socket of " + p.Settings.Config + " has to be " + want
	}
	return "restart plomb agent, and look at what it logs"
}
