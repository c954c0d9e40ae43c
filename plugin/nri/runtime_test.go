// SPDX-License-Identifier: Apache-2.0

package nri_test

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	validator "github.com/containerd/nri/plugins/default-validator/builtin"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/nri"
	"github.com/plombproject/plomb/verify/decision"
)

// The runtime of these tests is NRI's own runtime side, as containerd has it.
// Plugins come to it through a socket that can hang up on them.
type node struct {
	t       testing.TB
	socket  string
	runtime *adaptation.Adaptation
	version string
	pods    []*api.PodSandbox
	running []*api.Container
	door    *door
}

func newNode(t testing.TB) *node {
	return &node{t: t, socket: filepath.Join(t.TempDir(), "nri.sock"), version: "v2.4.2"}
}

// start starts the runtime; required is whether it needs the plugin.
func (n *node) start(required bool) {
	cfg := &validator.DefaultValidatorConfig{Enable: required, RequiredPlugins: []string{nri.DefaultName}}
	r, err := adaptation.New("containerd", n.version,
		func(ctx context.Context, sync adaptation.SyncCB) error {
			_, err := sync(ctx, n.pods, n.running)
			return err
		},
		func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil },
		adaptation.WithSocketPath(n.socket+".runtime"), adaptation.WithPluginPath(filepath.Join(n.t.TempDir(), "none")),
		adaptation.WithDefaultValidator(cfg))
	require.NoError(n.t, err)
	require.NoError(n.t, r.Start())
	n.runtime, n.door = r, open(n.t, n.socket)
}

// stop ends the runtime, and its connections as the end of a process does.
func (n *node) stop() {
	n.runtime.Stop()
	n.door.close()
}

// door passes connections on.
type door struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func open(t testing.TB, socket string) *door {
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	d := &door{Listener: l}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", socket+".runtime")
			if err != nil {
				_ = in.Close()
				continue
			}
			d.mu.Lock()
			d.conns = append(d.conns, in, out)
			d.mu.Unlock()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
		}
	}()
	t.Cleanup(d.close)
	return d
}

func (d *door) close() {
	_ = d.Listener.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		_ = c.Close()
	}
}

func (n *node) create(c *api.Container) error {
	_, err := n.runtime.CreateContainer(context.Background(), &api.CreateContainerRequest{Pod: pod, Container: c})
	return err
}

var pod = &api.PodSandbox{Id: "sandbox", Name: "shop", Namespace: "default"}

func container(image *api.Image, mounts ...*api.Mount) *api.Container {
	return &api.Container{Id: "c1", PodSandboxId: pod.Id, Name: "web", Image: image, Mounts: mounts}
}

// connected runs the plugin and waits until the runtime asks it.
func (n *node) connected(opts nri.Options) {
	n.t.Helper()
	states := run(n.t, n.socket, opts)
	require.True(n.t, (<-states).connected)
	n.settle()
}

// settle waits until the runtime has listed the plugin that it synchronised.
func (n *node) settle() {
	n.runtime.BlockPluginSync().Unblock()
}

type said struct {
	connected bool
	runtime   string
	err       error
}

// run runs the plugin for the length of the test.
func run(t testing.TB, socket string, opts nri.Options) <-chan said {
	states := make(chan said, 64)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	opts.Socket = socket
	opts.OnState = func(connected bool, runtime string, err error) { states <- said{connected, runtime, err} }
	go func() { ended <- nri.Run(ctx, opts) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	return states
}

// gate is a Gate of verdicts by digest.
type gate struct {
	mu       sync.Mutex
	verdicts map[digest.Digest]admission.Outcome
	asked    []nri.Container
	verified chan nri.Container
	found    chan []nri.Container
	known    func(ctx context.Context, c nri.Container) (admission.Outcome, bool)
}

func newGate(verdicts map[digest.Digest]admission.Outcome) *gate {
	return &gate{verdicts: verdicts, verified: make(chan nri.Container, 64), found: make(chan []nri.Container, 64)}
}

func (g *gate) Known(ctx context.Context, c nri.Container) (admission.Outcome, bool) {
	g.mu.Lock()
	g.asked = append(g.asked, c)
	known := g.known
	g.mu.Unlock()
	if known != nil {
		return known(ctx, c)
	}
	for _, d := range c.Digests {
		if out, ok := g.verdicts[d]; ok {
			return out, true
		}
	}
	return admission.Outcome{}, false
}

func (g *gate) Verify(c nri.Container)        { g.verified <- c }
func (g *gate) Found(running []nri.Container) { g.found <- running }

func (g *gate) questions() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.asked)
}

var (
	target = digest.FromString("target")
	config = digest.FromString("config")
	evil   = digest.FromString("evil")
	volume = digest.FromString("volume")

	image = &api.Image{Name: "registry.example/shop:1", Digest: target.String(), ConfigDigest: config.String()}
)

// allowed is the outcome of a verdict on evidence about the digests.
func allowed(target digest.Digest, configs ...digest.Digest) admission.Outcome {
	return admission.Outcome{Admitted: true, By: admission.ByDecision, Mode: admission.Enforce, Decision: &decision.Decision{
		Verdict: decision.Allow, Image: decision.Image{Digest: target}, Basis: decision.Basis{Configs: configs},
	}}
}

func denied(reason string) admission.Outcome {
	return admission.Outcome{By: admission.ByDecision, Mode: admission.Enforce, Decision: &decision.Decision{Verdict: decision.Deny, Reason: reason}}
}

func volumeMount(d digest.Digest, below string) *api.Mount {
	return &api.Mount{Destination: "/model", Type: "bind", Source: "/run/containerd/io.containerd.grpc.v1.cri/image-volumes/sandbox/" + d.Encoded() + below}
}

// stalled waits for the end of the question.
func stalled(ctx context.Context, _ nri.Container) (admission.Outcome, bool) {
	<-ctx.Done()
	time.Sleep(10 * time.Millisecond) // the answer comes after the caller has gone
	return allowed(target, config), true
}
