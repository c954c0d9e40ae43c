// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plombproject/plomb/plugin/admission"
)

// InstallOptions say how plomb comes onto a node.
type InstallOptions struct {
	// Mode is the node's from now on; empty: the one that it has, audit on a
	// node that has none.
	Mode admission.Mode
	// Probation is how long the agent watches a switch to enforce, and goes
	// back to audit by itself should the node stop being ready; 0: not at all.
	Probation time.Duration
	// Force enforces even if what runs would be denied.
	Force bool
	// DryRun changes nothing, and reports what would be done.
	DryRun bool
	// Progress is told each thing that was done, in order.
	Progress func(Event)
}

// DefaultProbation is long enough for kubelet to start a few pods anew.
const DefaultProbation = 15 * time.Minute

// Install brings plomb onto the node, or brings what is there up to date. What
// an interrupted one left is carried on from where it ended.
//
// The error is ErrDenied if all is installed and enforcement alone was refused.
func (n *Node) Install(ctx context.Context, o InstallOptions) error {
	if err := CheckEnvironment(n.Environment); err != nil {
		return err
	}
	r, err := n.begin(o.DryRun, o.Progress)
	if err != nil {
		return err
	}
	p, err := n.find(ctx)
	if err != nil {
		return err
	}
	others, err := p.checkFolder()
	if err != nil {
		return err
	}
	for _, name := range others {
		r.note("verifier", "%s stays: containerd asks it as well, and both have to admit an image", filepath.Join(p.binDir, name))
	}
	s, err := n.planSwitch(o)
	if err != nil {
		return err
	}
	// Found out before anything is changed: that it can be made to work at all.
	if _, err := n.containerdFiles(ctx, p, s.requires()); err != nil {
		return err
	}
	verifier, err := n.verifierFile(p)
	if err != nil {
		return err
	}
	defer r.release()
	if err := r.change(); err != nil {
		return err
	}
	if err := r.installAgent(ctx, p, s); err != nil {
		return err
	}
	return r.finish(ctx, p, s, verifier)
}

// installAgent starts the agent, which nothing depends on yet.
func (r *run) installAgent(ctx context.Context, p *place, s *modeSwitch) error {
	if err := r.writeNode(p); err != nil {
		return err
	}
	// Before the agent and the verifier: a node without a mode enforces.
	if err := r.lower(ctx, s); err != nil {
		return err
	}
	unit := r.unit(p)
	changed, err := r.write("unit", r.Supervisor.Files(unit)...)
	if err != nil {
		return err
	}
	return r.startAgent(ctx, unit, changed)
}

// finish puts the verifier in its place, has containerd ask it, and enforces,
// in this order.
func (r *run) finish(ctx context.Context, p *place, s *modeSwitch, verifier *File) error {
	refused := r.mayEnforce(ctx, s)
	if refused != nil && !errors.Is(refused, ErrDenied) {
		return refused
	}
	if !s.requires() && !p.report.Facts.NRI {
		r.note("containerd", "NRI is off in containerd: until the node enforces, only pulls are looked at")
	}
	if verifier != nil {
		if _, err := r.write("verifier", *verifier); err != nil {
			return err
		}
	}
	if err := r.connect(ctx, p, s); err != nil {
		return err
	}
	if err := r.raise(ctx, s); err != nil {
		return err
	}
	r.manifest.Complete = true
	if !r.dry {
		if err := r.records.write(r.manifest); err != nil {
			return fmt.Errorf("%w: %w", ErrManifest, err)
		}
	}
	done := "the node is in mode "
	if r.dry {
		done = "leave the node in mode "
	}
	r.progress(Event{Step: "done", Text: done + string(s.to)})
	return refused
}

// connect has containerd ask the verifier and, to enforce, require the agent.
// The agent answers by now. A containerd that does not come back, or does not
// find the agent, gets its old configuration again.
func (r *run) connect(ctx context.Context, p *place, s *modeSwitch) error {
	require := s.requires()
	files, err := r.containerdFiles(ctx, p, require)
	if err != nil {
		return err
	}
	files = append(files, r.Supervisor.ContainerdFiles(r.environment(p))...)
	if err := r.configure(p, files); err != nil {
		return err
	}
	stale := r.manifest.Stale != 0
	began, err := r.restart(ctx)
	if err == nil && !r.dry {
		r.noteEnvironment(ctx, p)
	}
	if err == nil && stale && require && !r.dry && !r.Settings.Node.NRI.Off {
		err = r.registered(ctx, began)
	}
	if err == nil || errors.Is(err, ErrNoRestart) || ctx.Err() != nil {
		return err
	}
	if len(r.before) == 0 {
		return err
	}
	return errors.Join(err, r.back(context.WithoutCancel(ctx), err))
}

// writeNode writes node.yaml if there is none. An administrator's is not touched.
func (r *run) writeNode(p *place) error {
	path := r.Settings.Config
	if _, err := os.Lstat(path); err == nil {
		if own := r.Settings.Node.NRI; !own.Off && p.report.Facts.NRISocket != "" && own.Socket != p.report.Facts.NRISocket {
			r.note("node.yaml", "%s has nri.socket %s, and containerd's is %s: change it, or images that are on the node are not checked",
				path, own.Socket, p.report.Facts.NRISocket)
		}
		return nil
	}
	socket := p.report.Facts.NRISocket
	if socket == "" {
		socket = r.Settings.Node.NRI.Socket
	}
	text := fmt.Sprintf(nodeYAML, socket)
	_, err := r.write("node.yaml", File{Path: path, Mode: 0o644, Data: []byte(text)})
	return err
}

// nodeYAML is the configuration of a node that has none yet.
const nodeYAML = `# Written by plomb node install, which leaves it alone from now on.
# docs/node.md has all fields.
apiVersion: plombproject.github.io/node/v1
nri:
  # containerd's, by its configuration.
  socket: %s
`

// verifierFile is plomb-verifier in its place; nil if that is where it comes from.
func (n *Node) verifierFile(p *place) (*File, error) {
	to := filepath.Join(p.binDir, verifierName)
	from, err := onDisk(n.Verifier)
	if err != nil {
		return nil, fmt.Errorf("plomb-verifier: %w", err)
	}
	if from == nil {
		return nil, fmt.Errorf("plomb-verifier: there is none at %s: name it with --verifier", n.Verifier)
	}
	if from.Mode&0o111 == 0 || len(from.Data) == 0 {
		return nil, fmt.Errorf("plomb-verifier: %s is no program", n.Verifier)
	}
	return &File{Path: to, Mode: 0o755, Data: from.Data, program: true}, nil
}

// unit is the agent with its settings.
func (r *run) unit(p *place) Unit {
	return Unit{
		Program: r.Program, Environment: r.environment(p),
		State: r.Settings.State, Run: filepath.Dir(r.Settings.Socket), Config: filepath.Dir(r.Settings.Config),
	}
}

// environment is what the agent and plomb-verifier are told. containerd's
// folder of hosts.toml is theirs too, unless somebody said otherwise.
func (n *Node) environment(p *place) []string {
	env := append([]string{}, n.Environment...)
	hosts := p.report.Facts.HostsDir
	for _, pair := range env {
		if strings.HasPrefix(pair, "PLOMB_HOSTS=") {
			return env
		}
	}
	if hosts != "" && hosts != n.Settings.Hosts && !strings.Contains(hosts, ":") {
		env = append(env, "PLOMB_HOSTS="+hosts)
	}
	return env
}

// noteEnvironment says what plomb-verifier needs and containerd does not hand
// on: where nothing that plomb writes gives containerd its environment.
func (r *run) noteEnvironment(ctx context.Context, p *place) {
	d, err := r.Runtime.Daemon(ctx)
	if err != nil {
		return
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", d.PID))
	if err != nil {
		return // another's process namespace
	}
	has := strings.Split(string(data), "\x00")
	for _, pair := range r.environment(p) {
		if !slices.Contains(has, pair) {
			r.note("containerd", "containerd runs without %s in its environment: plomb-verifier needs it when the agent is away, so set it where containerd is started", pair)
		}
	}
}

// startAgent starts the agent unless it runs as it should.
func (r *run) startAgent(ctx context.Context, unit Unit, changed bool) error {
	if s, err := r.Agent.Status(ctx); err == nil && !changed && s.Version == r.Version && runs(s.PID, unit.Program) {
		return nil
	}
	return r.act("agent", r.Supervisor.Says("start"), func() error {
		if err := os.MkdirAll(unit.Run, 0o700); err != nil {
			return fmt.Errorf("%w: %w", ErrAgent, err)
		}
		if err := r.Supervisor.Start(ctx, unit); err != nil {
			return err
		}
		return r.await(ctx, func(ctx context.Context) error {
			_, err := r.Agent.Status(ctx)
			return err
		})
	})
}

// runs tells that a process runs this very file: one that was replaced since
// shows as deleted.
func runs(pid int, program string) bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && exe == program
}
