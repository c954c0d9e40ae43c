// SPDX-License-Identifier: Apache-2.0

// Package bindir is the edge to containerd's bindir image verifier
// (https://github.com/containerd/containerd/blob/main/docs/image-verification.md):
// containerd's call in, one call of verify, exit status and reason out.
//
//	plomb-verifier -name REF -digest SHA -stdin-media-type TYPE < descriptor
//
// It exits with 0 if and only if the image is allowed and with 1 otherwise;
// standard output is the reason, on one line. It never admits an image because
// something is missing, slow or broken.
//
// It makes no verdicts of its own and keeps no state.
package bindir

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/plugin/judge"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
)

const (
	// MaxDescriptor bounds the descriptor on standard input, in bytes. It may
	// carry a small document in its data field.
	MaxDescriptor = 1 << 20

	// grace is how long after its deadline a verification may take to notice,
	// before the answer is given without it.
	grace = 200 * time.Millisecond

	exitAllow  = 0
	exitRefuse = 1
)

// ErrCall reports a call that containerd would not have made.
var ErrCall = errors.New("not called as an image verifier")

// A Verify decides about one image.
type Verify func(ctx context.Context, name string, desc ocispec.Descriptor) *decision.Decision

// Main runs the verifier: args without the program's name, getenv for the
// settings of package settings. It returns the exit status.
func Main(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	s, err := settings.Read(getenv)
	if err != nil {
		return answer(verify.Refused("", ocispec.Descriptor{}, err, time.Now()), stdout, stderr)
	}
	j := &judge.Judge{Settings: s}
	decide := func(ctx context.Context, name string, desc ocispec.Descriptor) *decision.Decision {
		return j.Decide(ctx, judge.Question{Name: name, Descriptor: desc})
	}
	return Serve(ctx, s.Timeout, decide, args, stdin, stdout, stderr)
}

// Serve answers one call with decide, within timeout.
func Serve(ctx context.Context, timeout time.Duration, decide Verify, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := readFlags(args)
	if err != nil {
		return answer(c.refused(err), stdout, stderr)
	}
	done := make(chan *decision.Decision, 1)
	go func() { done <- c.guarded(ctx, decide, stdin) }()
	select {
	case d := <-done:
		return answer(d, stdout, stderr)
	case <-after(ctx, grace):
		return answer(c.refused(fmt.Errorf("%w after %s", context.DeadlineExceeded, timeout)), stdout, stderr)
	}
}

// after fires some time after ctx has ended.
func after(ctx context.Context, d time.Duration) <-chan struct{} {
	fired := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(d, func() { close(fired) }) })
	return fired
}

// call is what containerd asks.
type call struct {
	name   string
	digest digest.Digest
}

func (c call) refused(err error) *decision.Decision {
	return verify.Refused(c.name, ocispec.Descriptor{Digest: c.digest}, err, time.Now())
}

// guarded turns a panic into a refusal: a crash would refuse as well, but
// without a reason that anybody reads.
func (c call) guarded(ctx context.Context, decide Verify, stdin io.Reader) (d *decision.Decision) {
	defer func() {
		if p := recover(); p != nil {
			d = c.refused(fmt.Errorf("%w: %v; please report it", verify.ErrPanic, p))
		}
	}()
	desc, err := c.readDescriptor(stdin)
	if err != nil {
		return c.refused(err)
	}
	if d = decide(ctx, c.name, desc); d == nil {
		return c.refused(fmt.Errorf("%w: it gave no decision", verify.ErrPanic))
	}
	return d
}

// readFlags reads the command line. The call is as complete as it can be even
// with an error, so that the refusal can name the image.
func readFlags(args []string) (call, error) {
	flags := flag.NewFlagSet("plomb-verifier", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var c call
	var dgst, mediaType string
	flags.StringVar(&c.name, "name", "", "image reference")
	flags.StringVar(&dgst, "digest", "", "digest that the reference was resolved to")
	flags.StringVar(&mediaType, "stdin-media-type", "", "type of the descriptor on standard input")
	err := flags.Parse(args)
	c.digest = digest.Digest(dgst)
	switch {
	case err != nil:
		return c, fmt.Errorf("%w: %w", ErrCall, err)
	case flags.NArg() > 0:
		return c, fmt.Errorf("%w: unexpected argument %q", ErrCall, flags.Arg(0))
	case c.name == "" || dgst == "":
		return c, fmt.Errorf("%w: -name and -digest are required", ErrCall)
	case mediaType != ocispec.MediaTypeDescriptor:
		return c, fmt.Errorf("%w: -stdin-media-type is %q, want %s", ErrCall, mediaType, ocispec.MediaTypeDescriptor)
	}
	return c, nil
}

// readDescriptor reads the descriptor, which must be the one on the command
// line.
func (c call) readDescriptor(stdin io.Reader) (desc ocispec.Descriptor, err error) {
	data, err := limit.ReadAll(stdin, MaxDescriptor)
	if err != nil {
		return desc, fmt.Errorf("%w: descriptor on standard input: %w", ErrCall, err)
	}
	if err := strictjson.UnmarshalOpen(data, &desc); err != nil {
		return desc, fmt.Errorf("%w: descriptor on standard input: %w", ErrCall, err)
	}
	if desc.Digest != c.digest {
		return desc, fmt.Errorf("%w: -digest is %s and the descriptor's is %s", ErrCall, c.digest, desc.Digest)
	}
	return desc, nil
}

// answer writes the reason, and the whole decision for containerd's debug log.
func answer(d *decision.Decision, stdout, stderr io.Writer) int {
	slog.New(slog.NewJSONHandler(stderr, nil)).Info("decision", "decision", d)
	fmt.Fprintln(stdout, Reason(d))
	if d.Verdict == decision.Allow {
		return exitAllow
	}
	return exitRefuse
}
