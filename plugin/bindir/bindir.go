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

// A Verify decides about one image: Settings.Verify, or what a test puts in.
type Verify func(ctx context.Context, name string, desc ocispec.Descriptor) *decision.Decision

// Main runs the verifier: args without the program's name, getenv for the
// settings of Settings. It returns the exit status.
func Main(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	settings, err := ReadSettings(getenv)
	if err != nil {
		return answer(verify.Refused("", ocispec.Descriptor{}, err, time.Now()), stdout, stderr)
	}
	return Serve(ctx, settings.Timeout, settings.Verify, args, stdin, stdout, stderr)
}

// Serve answers one call with decide, within timeout.
func Serve(ctx context.Context, timeout time.Duration, decide Verify, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan *decision.Decision, 1)
	go func() { done <- guarded(ctx, decide, args, stdin) }()
	select {
	case d := <-done:
		return answer(d, stdout, stderr)
	case <-after(ctx, grace):
		err := fmt.Errorf("%w after %s", context.DeadlineExceeded, timeout)
		return answer(verify.Refused("", ocispec.Descriptor{}, err, time.Now()), stdout, stderr)
	}
}

// after fires some time after ctx has ended.
func after(ctx context.Context, d time.Duration) <-chan struct{} {
	fired := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(d, func() { close(fired) }) })
	return fired
}

// guarded turns a panic into a refusal: a crash would refuse as well, but
// without a reason that anybody reads.
func guarded(ctx context.Context, decide Verify, args []string, stdin io.Reader) (d *decision.Decision) {
	var name string
	var desc ocispec.Descriptor
	defer func() {
		if p := recover(); p != nil {
			d = verify.Refused(name, desc, fmt.Errorf("%w: %v; please report it", verify.ErrPanic, p), time.Now())
		}
	}()
	name, desc, err := readCall(args, stdin)
	if err != nil {
		return verify.Refused(name, desc, err, time.Now())
	}
	return decide(ctx, name, desc)
}

// readCall reads the command line and the descriptor.
func readCall(args []string, stdin io.Reader) (name string, desc ocispec.Descriptor, err error) {
	flags := flag.NewFlagSet("plomb-verifier", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var dgst, mediaType string
	flags.StringVar(&name, "name", "", "image reference")
	flags.StringVar(&dgst, "digest", "", "digest that the reference was resolved to")
	flags.StringVar(&mediaType, "stdin-media-type", "", "type of the descriptor on standard input")
	if err := flags.Parse(args); err != nil {
		return name, desc, fmt.Errorf("%w: %w", ErrCall, err)
	}
	switch {
	case flags.NArg() > 0:
		return name, desc, fmt.Errorf("%w: unexpected argument %q", ErrCall, flags.Arg(0))
	case name == "" || dgst == "":
		return name, desc, fmt.Errorf("%w: -name and -digest are required", ErrCall)
	case mediaType != ocispec.MediaTypeDescriptor:
		return name, desc, fmt.Errorf("%w: -stdin-media-type is %q, want %s", ErrCall, mediaType, ocispec.MediaTypeDescriptor)
	}
	data, err := limit.ReadAll(stdin, MaxDescriptor)
	if err != nil {
		return name, desc, fmt.Errorf("%w: descriptor on standard input: %w", ErrCall, err)
	}
	if err := strictjson.UnmarshalOpen(data, &desc); err != nil {
		return name, desc, fmt.Errorf("%w: descriptor on standard input: %w", ErrCall, err)
	}
	if desc.Digest != digest.Digest(dgst) {
		return name, desc, fmt.Errorf("%w: -digest is %s and the descriptor's is %s", ErrCall, dgst, desc.Digest)
	}
	return name, desc, nil
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
