// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"strings"
	"time"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/containerd"
)

// configuration reads what containerd is configured to, and which.
func (p *proof) configuration(ctx context.Context) {
	p.Progress("containerd's configuration")
	p.version(ctx)
	program, config := p.Program, p.Config
	d, err := containerd.Running(ctx, p.Settings.Containerd)
	if err == nil {
		p.environment(d.PID)
	} else if program == "" || config == "" {
		p.add(Check{ID: CheckConfig, Status: Unknown, Detail: err.Error(), Remedy: "name containerd's socket with CONTAINERD_ADDRESS, and its program and configuration"})
		return
	}
	if program == "" {
		program = d.Program
	}
	if config == "" {
		config = d.Config
	}
	p.report.Containerd.Program, p.report.Containerd.Config = program, config
	dump, err := containerd.Effective(ctx, p.Settings.Containerd, program, config)
	if err != nil {
		p.add(Check{ID: CheckConfig, Status: Fail, Detail: err.Error(), Remedy: "mend it before containerd has to start again"})
		return
	}
	r, err := containerd.Analyse(dump)
	if err != nil {
		p.add(Check{ID: CheckConfig, Status: Unknown, Detail: err.Error()})
		return
	}
	p.facts, p.known = r.Facts, true
	p.findings(append(r.Findings, containerd.Verifiers(r.Facts)...))
}

// findings makes a check of each finding, or one that there are none.
func (p *proof) findings(findings []containerd.Finding) {
	files, err := containerd.Sources(p.report.Containerd.Config, p.facts.Imports...)
	if err != nil {
		p.add(Check{ID: CheckConfig, Status: Unknown, Detail: err.Error()})
	}
	told := false
	for _, f := range findings {
		if f.At == containerd.AtCreate && p.notAtCreate() {
			continue
		}
		told = true
		c := Check{ID: CheckConfig, Status: Warn, Detail: f.Setting + " = " + f.Value + ": " + f.Effect,
			Setting: f.Setting, Value: f.Value, Remedy: f.Remedy, Places: containerd.Where(files, f), at: f.At}
		if f.Fatal {
			c.Status = Fail
		}
		// plomb node install has containerd require the agent on a node that enforces:
		// on another one this is as it should be, and the check of the mode fails.
		if strings.Contains(f.Setting, ".default_validator") && p.lenient() {
			c.Status, c.Remedy = Warn, "plomb node mode enforce sets it"
		}
		p.add(c)
	}
	if !told {
		p.add(Check{ID: CheckConfig, Status: Pass, Detail: "no setting of containerd turns verification off"})
	}
}

// lenient tells that the node admits what it denies.
func (p *proof) lenient() bool {
	state, err := admission.ReadMode(p.Settings.Mode())
	if err == nil && state.Mode != admission.Enforce {
		return true
	}
	glass, err := admission.ReadBreakGlass(p.Settings.BreakGlass(), time.Now())
	return err == nil && glass != nil
}

// notAtCreate tells that nothing is expected of the creation of containers.
func (p *proof) notAtCreate() bool { return p.PullOnly || p.Settings.Node.NRI.Off }

func (p *proof) version(ctx context.Context) {
	c, err := connect(p.Settings.Containerd)
	if err != nil {
		p.add(Check{ID: CheckVersion, Status: Unknown, Detail: err.Error()})
		return
	}
	defer c.close()
	version, err := c.version(ctx)
	if err != nil {
		p.add(Check{ID: CheckVersion, Status: Unknown, Detail: "containerd at " + p.Settings.Containerd + " does not answer: " + reason(err),
			Remedy: "start containerd, or name its socket with CONTAINERD_ADDRESS"})
		return
	}
	p.report.Containerd.Version = version
	findings := containerd.Version(version)
	if len(findings) == 0 {
		p.add(Check{ID: CheckVersion, Status: Pass, Detail: "containerd " + version + " can verify at pull and at create"})
	}
	for _, f := range findings {
		if f.At == containerd.AtCreate && p.notAtCreate() {
			continue
		}
		status := Warn
		if f.Fatal {
			status = Fail
		}
		p.add(Check{ID: CheckVersion, Status: status, Detail: "containerd " + version + ": " + f.Effect, Remedy: f.Remedy, at: f.At})
	}
}
