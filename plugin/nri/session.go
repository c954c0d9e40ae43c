// SPDX-License-Identifier: Apache-2.0

package nri

import (
	"context"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"golang.org/x/mod/semver"
)

// session is the plugin on one connection.
type session struct {
	opts      Options
	connected func(runtime string)

	// configured is closed when containerd has accepted the plugin.
	configured chan struct{}
	once       sync.Once

	mu      sync.Mutex
	runtime string
	// within is how long a call may take.
	within time.Duration
	// admitted is what CreateContainer admitted last. containerd makes these
	// calls one at a time, so Validate of the same container comes next.
	admitted admitted
	// asking bounds the questions that nobody waits for anymore.
	asking chan struct{}
}

type admitted struct {
	container string
	images    []string
}

var (
	_ stub.ConfigureInterface                   = (*session)(nil)
	_ stub.SynchronizeInterface                 = (*session)(nil)
	_ stub.CreateContainerInterface             = (*session)(nil)
	_ stub.ValidateContainerAdjustmentInterface = (*session)(nil)
)

const (
	// maxWait is how long containerd is kept waiting: half of the 2 seconds
	// after which it gives a plugin up and closes the connection.
	maxWait = time.Second
	// maxAsking bounds questions to a gate that has stopped answering.
	maxAsking = 64
)

func newSession(opts Options, connected func(runtime string)) *session {
	return &session{
		opts: opts, connected: connected, configured: make(chan struct{}),
		within: maxWait, asking: make(chan struct{}, maxAsking),
	}
}

// Configure implements stub.ConfigureInterface. It subscribes to what is needed.
func (s *session) Configure(_ context.Context, _, runtime, version string) (api.EventMask, error) {
	s.mu.Lock()
	s.runtime = runtime + " " + version
	s.mu.Unlock()
	s.once.Do(func() { close(s.configured) })
	var events api.EventMask
	events.Set(api.Event_VALIDATE_CONTAINER_ADJUSTMENT)
	if !validates(runtime, version) {
		events.Set(api.Event_CREATE_CONTAINER)
	}
	return events, nil
}

// imagesSince is the first containerd that tells plugins the image of a container.
const imagesSince = "v2.4.1"

// validates reports whether the runtime is sure to ask
// ValidateContainerAdjustment. Whoever is asked there needs no CreateContainer,
// and each call takes its part of every container's start.
func validates(runtime, version string) bool {
	v := "v" + strings.TrimPrefix(version, "v")
	return runtime == "containerd" && semver.IsValid(v) && semver.Compare(v, imagesSince) >= 0
}

// limit has calls end well before containerd's own limit, which comes with ctx.
func (s *session) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	within := s.within
	if until, ok := ctx.Deadline(); ok {
		within = min(within, time.Until(until)/2)
	}
	return context.WithTimeout(ctx, within)
}

// Synchronize implements stub.SynchronizeInterface. containerd asks before it
// creates a container once this has returned.
func (s *session) Synchronize(_ context.Context, pods []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
	byID := map[string]*api.PodSandbox{}
	for _, p := range pods {
		byID[p.GetId()] = p
	}
	var running []Container
	for _, c := range containers {
		running = append(running, imagesOf(byID[c.GetPodSandboxId()], c, nil)...)
	}
	s.mu.Lock()
	runtime := s.runtime
	s.mu.Unlock()
	s.connected(runtime)
	// A plugin that keeps containerd waiting here is dropped, and one that is
	// dropped each time locks the node.
	go func() {
		defer func() {
			if p := recover(); p != nil {
				s.opts.Log.Error("telling what runs failed", "panic", p)
			}
		}()
		s.opts.Gate.Found(running)
	}()
	return nil, nil
}

// CreateContainer implements stub.CreateContainerInterface, for a runtime that
// may not ask ValidateContainerAdjustment.
func (s *session) CreateContainer(ctx context.Context, pod *api.PodSandbox, c *api.Container) (_ *api.ContainerAdjustment, _ []*api.ContainerUpdate, err error) {
	defer s.refusePanic(&err)
	ctx, cancel := s.limit(ctx)
	defer cancel()
	s.remember("", nil)
	images := imagesOf(pod, c, nil)
	for _, image := range images {
		if err := s.admit(ctx, image); err != nil {
			return nil, nil, err
		}
	}
	s.remember(c.GetId(), images)
	return nil, nil, nil
}

// ValidateContainerAdjustment implements
// stub.ValidateContainerAdjustmentInterface: the container as it was asked for,
// and what all plugins made of it. A plugin that does not answer here refuses,
// where one that does not answer CreateContainer is passed over.
func (s *session) ValidateContainerAdjustment(ctx context.Context, req *api.ValidateContainerAdjustmentRequest) (err error) {
	defer s.refusePanic(&err)
	ctx, cancel := s.limit(ctx)
	defer cancel()
	c := req.GetContainer()
	if err := checkAdjustment(c, req.GetAdjust()); err != nil {
		return err
	}
	known := s.recall(c.GetId())
	for _, image := range imagesOf(req.GetPod(), c, req.GetAdjust().GetMounts()) {
		if slices.Contains(known, image.key()) {
			continue
		}
		if err := s.admit(ctx, image); err != nil {
			return err
		}
	}
	return nil
}

// checkAdjustment refuses what would put another root in the image's place.
func checkAdjustment(c *api.Container, adjust *api.ContainerAdjustment) error {
	for _, m := range adjust.GetMounts() {
		if path.Clean("/"+m.GetDestination()) == "/" {
			return refusal("plomb: container " + brief(c.GetName()) + " refused: another NRI plugin mounts " + brief(m.GetSource()) + " over its root")
		}
	}
	return nil
}

func (s *session) refusePanic(err *error) {
	if p := recover(); p != nil {
		s.opts.Log.Error("refused after a fault of plomb", "panic", p)
		*err = refusal("plomb: container refused after a fault of plomb itself: see the agent's log")
	}
}

func (s *session) remember(container string, images []Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admitted = admitted{container: container}
	for _, image := range images {
		s.admitted.images = append(s.admitted.images, image.key())
	}
}

// recall gives what was admitted for the container, once.
func (s *session) recall(container string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.admitted
	s.admitted = admitted{}
	if container == "" || a.container != container {
		return nil
	}
	return a.images
}
