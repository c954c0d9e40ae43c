// SPDX-License-Identifier: Apache-2.0

// Package builtin is the verifier inside containerd, for who builds containerd
// anyway: an import of it registers an image verifier plugin
// (io.containerd.image-verifier.v1.plomb), which then decides like
// plomb-verifier, without a process for each pull and without a folder that
// could be empty. hack/builtin is such a build.
//
//	import _ "github.com/plombproject/plomb/plugin/builtin"
//
// It reads the same environment and files as plomb-verifier, through the same
// code, asks no agent, and sees pulls by the transfer service alone.
package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/pkg/imageverifier"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/plugin/credentials"
	"github.com/plombproject/plomb/plugin/judge"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/receipt"
)

func init() {
	registry.Register(&plugin.Registration{
		Type: plugins.ImageVerifierPlugin,
		ID:   "plomb",
		// containerd goes on without a plugin whose start failed, which would
		// be without verification: New refuses pulls instead of failing.
		InitFn: func(*plugin.InitContext) (any, error) { return New(os.Getenv), nil },
	})
}

// A Verifier answers the transfer service.
type Verifier struct {
	settings settings.Settings
	// broken is why nothing can be judged.
	broken   error
	judge    judge.Judge
	recorder bindir.Recorder
	log      *slog.Logger
}

var _ imageverifier.ImageVerifier = (*Verifier)(nil)

// New makes the verifier of a node. Where the settings are broken, it refuses
// every image, with the reason.
func New(getenv func(string) string) *Verifier {
	s, err := settings.Read(getenv)
	v := &Verifier{settings: s, broken: err, log: slog.Default()}
	if v.settings.Timeout <= 0 {
		v.settings.Timeout = settings.DefaultTimeout
	}
	v.judge = judge.Judge{Settings: s, Credentials: credentials.New(s.Node.Credentials).For}
	v.recorder = bindir.RecorderOf(s)
	v.recorder.Log = once(v.recorder.Log)
	return v
}

// once keeps the log open from the first time that it could be opened.
func once(open func() (bindir.Log, error)) func() (bindir.Log, error) {
	var mu sync.Mutex
	var log bindir.Log
	return func() (bindir.Log, error) {
		mu.Lock()
		defer mu.Unlock()
		if log != nil {
			return log, nil
		}
		opened, err := open()
		if err != nil {
			return nil, err
		}
		log = opened
		return log, nil
	}
}

// VerifyImage says whether an image may be pulled. It makes the call that
// containerd's bindir verifier would make of plomb-verifier, so that both refuse
// the same, in the same time, and a panic ends no containerd.
func (v *Verifier) VerifyImage(ctx context.Context, name string, desc ocispec.Descriptor) (*imageverifier.Judgement, error) {
	data, err := json.Marshal(desc)
	if err != nil {
		return nil, err // which blocks the pull
	}
	args := []string{"-name", name, "-digest", desc.Digest.String(), "-stdin-media-type", ocispec.MediaTypeDescriptor}
	status, reason, out := bindir.Answer(ctx, v.settings.Timeout, v, args, bytes.NewReader(data))
	bindir.Report(v.log, out)
	return &imageverifier.Judgement{OK: status == 0, Reason: string(bytes.TrimSpace(reason))}, nil
}

// Judge implements bindir.Gate.
func (v *Verifier) Judge(ctx context.Context, name string, desc ocispec.Descriptor) bindir.Judgement {
	if v.broken != nil {
		return bindir.Judgement{Decision: verify.Refused(name, desc, v.broken, time.Now())}
	}
	return bindir.Judgement{Decision: v.judge.Decide(ctx, judge.Question{Name: name, Descriptor: desc})}
}

// Admit implements bindir.Gate.
func (v *Verifier) Admit(ctx context.Context, j bindir.Judgement) admission.Outcome {
	return v.recorder.Settle(ctx, receipt.Pull, j, "")
}
