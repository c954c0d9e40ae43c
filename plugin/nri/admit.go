// SPDX-License-Identifier: Apache-2.0

package nri

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/verify/decision"
)

// MaxReason bounds a refusal, in bytes: containerd puts it into an error that
// ends, cut, in a Kubernetes event.
const MaxReason = 300

// admit returns nil if the image may be used, else the refusal.
//
// containerd looks an image up by the config's digest and then takes the root
// file system from whatever the first name of that image points to at that
// moment (containerd 2.4.2, criService.toContainerdImage), so the two digests can
// be of two images. The target is what counts for the root, and has to be
// admitted by itself. A verdict on evidence knows the configs of the target, and
// one that is not among them has to be admitted too.
func (s *session) admit(ctx context.Context, c Container) error {
	if len(c.Digests) == 0 {
		return s.admitNameless(ctx, c)
	}
	out, err := s.known(ctx, c, c.Digests[:1])
	if err != nil {
		return err
	}
	for _, d := range c.Digests[1:] {
		if settled(out, d) {
			continue
		}
		if _, err := s.known(ctx, c, []digest.Digest{d}); err != nil {
			return err
		}
	}
	return nil
}

// admitNameless is for a container of which the runtime does not say the image:
// only what admits everything admits it.
func (s *session) admitNameless(ctx context.Context, c Container) error {
	out, known, err := s.ask(ctx, c)
	if err == nil && known && out.Admitted && (out.By == admission.ByMode || out.By == admission.ByBreakGlass) {
		return nil
	}
	return c.refuse("the container runtime does not tell its digest: containerd 2.4.1 or later does")
}

// known returns the outcome that admits the image as named by digests, or the
// refusal.
func (s *session) known(ctx context.Context, c Container, digests []digest.Digest) (admission.Outcome, error) {
	q := c
	q.Digests = digests
	out, known, err := s.ask(ctx, q)
	switch {
	case err != nil:
		return out, c.refuse(err.Error())
	case !known:
		s.verify(q)
		return out, c.refuse("there is no verdict yet. Verification was started: try again in a few seconds")
	case !out.Admitted:
		return out, c.refuse(reasonOf(out))
	case out.By == admission.ByDecision && !isAbout(out.Decision, digests[0]):
		s.verify(q)
		return out, c.refuse("the verdict is about another image. Verification was started: try again in a few seconds")
	}
	return out, nil
}

// isAbout reports whether the decision was about what dgst names.
func isAbout(d *decision.Decision, dgst digest.Digest) bool {
	return d != nil && d.Verdict == decision.Allow && (d.Image.Digest == dgst ||
		slices.Contains(d.Basis.Indexes, dgst) || slices.Contains(d.Basis.Manifests, dgst) || slices.Contains(d.Basis.Configs, dgst))
}

// settled reports whether what admitted the target leaves no question about its
// config: it was read, or the target was admitted unread. What a config sets, a
// pod may set as well.
func settled(out admission.Outcome, config digest.Digest) bool {
	return out.By != admission.ByDecision || len(out.Decision.Basis.Configs) == 0 || slices.Contains(out.Decision.Basis.Configs, config)
}

// reasonOf is why the image is not admitted, without its name.
func reasonOf(out admission.Outcome) string {
	if out.Decision == nil {
		return "not admitted"
	}
	return string(out.Decision.Verdict) + ": " + out.Decision.Reason
}

type answer struct {
	out   admission.Outcome
	known bool
	err   error
}

// ask asks the gate, and waits no longer than ctx.
func (s *session) ask(ctx context.Context, c Container) (admission.Outcome, bool, error) {
	select {
	case s.asking <- struct{}{}:
	default:
		return admission.Outcome{}, false, errors.New("the agent does not answer")
	}
	answers := make(chan answer, 1)
	go func() {
		a := answer{err: errors.New("fault of the agent: see its log")}
		defer func() {
			if p := recover(); p != nil {
				s.opts.Log.Error("looking for a verdict failed", "subject", c.Subject, "panic", p)
			}
			<-s.asking
			answers <- a
		}()
		out, known := s.opts.Gate.Known(ctx, c)
		a = answer{out: out, known: known}
	}()
	select {
	case a := <-answers:
		return a.out, a.known, a.err
	case <-ctx.Done():
		return admission.Outcome{}, false, errors.New("the agent did not answer in time")
	}
}

// verify has the image verified, and does not wait.
func (s *session) verify(c Container) {
	go func() {
		defer func() {
			if p := recover(); p != nil {
				s.opts.Log.Error("starting a verification failed", "subject", c.Subject, "panic", p)
			}
		}()
		s.opts.Gate.Verify(c)
	}()
}

// ErrRefused reports a container that is not created.
var ErrRefused = errors.New("container refused")

// refusal is an error of exactly the text that people get to see.
type refusal string

func (r refusal) Error() string        { return string(r) }
func (r refusal) Is(target error) bool { return target == ErrRefused }

func (c Container) refuse(why string) error {
	what := "image"
	if c.Volume {
		what = "image volume"
	}
	name := brief(c.Name)
	if len(c.Digests) > 0 {
		short := c.Digests[0].String()
		name = strings.TrimPrefix(name+"@"+short[:min(len(short), 19)]+"…", "@")
	}
	if name == "" {
		name = "of " + brief(c.Subject)
	}
	return refusal(clip(decision.OneLine("plomb: "+what+" "+name+" refused: "+why), MaxReason))
}

// maxName keeps a long name from pushing the reason out of the refusal.
const maxName = 120

func brief(name string) string { return clip(decision.OneLine(name), maxName) }

// clip cuts a text to max bytes, between two characters.
func clip(text string, max int) string {
	if len(text) <= max {
		return text
	}
	const ellipsis = "…"
	cut := max - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + ellipsis
}
