// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plombproject/plomb/plugin/canary"
	"github.com/plombproject/plomb/plugin/containerd"
)

// trial is the part of a proof that containerd takes part in.
type trial struct {
	*proof
	containerd *daemon
	registry   *registry
	key        *ecdsa.PrivateKey
	run        string
}

// all makes the checks by behaviour, in order.
func (t *trial) all(ctx context.Context) error {
	t.Progress("what earlier self-tests left")
	_ = t.sweep(ctx) // it is done once more at the end, and reported
	cri := !t.known || t.facts.CRI
	if !cri {
		t.add(Check{ID: CheckCRIUnsigned, Status: Warn, Detail: "kubelet cannot use this containerd: CRI is disabled"})
	} else if err := t.pulls(ctx, "CRI", CheckCRIUnsigned, CheckCRISigned, t.containerd.pullCRI); err != nil {
		return err
	}
	if err := t.pulls(ctx, "the transfer service", CheckUnsigned, CheckSigned, t.containerd.pullTransfer); err != nil {
		return err
	}
	return t.create(ctx, cri)
}

// image makes a canary of this run.
func (t *trial) image(kind string) (*image, error) {
	return t.registry.image(strings.Trim(canary.Folder, "/") + "/" + t.run + "/" + kind)
}

// pulls has an unsigned image and a signed one pulled in one way.
func (t *trial) pulls(ctx context.Context, way, unsignedID, signedID string, pull func(context.Context, string) error) error {
	unsigned, err := t.image(unsignedID)
	if err != nil {
		return err
	}
	signed, err := t.image(signedID)
	if err != nil {
		return err
	}
	if err := signed.sign(t.key); err != nil {
		return err
	}
	t.Progress("a pull through " + way + " that has to be refused")
	t.add(t.unsigned(ctx, way, unsignedID, unsigned, pull(ctx, unsigned.name)))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	t.Progress("a pull through " + way + " that has to succeed")
	t.add(t.signed(ctx, way, signedID, signed, pull(ctx, signed.name)))
	return ctx.Err()
}

// byPlomb is how containerd reports a verifier's refusal
// (pkg/imageverifier/bindir), with plomb-verifier's exit status.
const byPlomb = "verifier " + containerd.VerifierName + " rejected image (exit code 1)"

func (t *trial) unsigned(ctx context.Context, way, id string, img *image, err error) Check {
	c := Check{ID: id, at: containerd.AtPull}
	asked := t.registry.wasAsked(img)
	switch {
	case err == nil && asked:
		c.Status, c.Detail = Fail, "an unsigned image was pulled through "+way+"; the verifier was asked, and the node does not enforce"
	case err == nil:
		c.Status, c.Detail = Fail, "an unsigned image was pulled through "+way+" and nobody looked for its signature"
		c.Remedy = "mend the configuration as said above, or run plomb node install"
	case ctx.Err() != nil || gone(err):
		c.Status, c.Detail = Unknown, "the pull of an unsigned image through "+way+" did not come to an end: "+reason(err)
	case !strings.Contains(err.Error(), byPlomb):
		c.Status, c.Detail = Fail, "an unsigned image was not pulled through "+way+", and not because of plomb: "+reason(err)
	case !asked:
		c.Status, c.Detail = Fail, "an unsigned image was refused through "+way+", but not for want of a signature: "+reason(err)
	default:
		c.Status, c.Detail = Pass, "an unsigned image is refused through "+way+": "+plombsReason(err)
	}
	return c
}

func (t *trial) signed(ctx context.Context, way, id string, img *image, err error) Check {
	c := Check{ID: id, at: containerd.AtPull}
	switch {
	case err == nil && t.registry.wasAsked(img):
		c.Status, c.Detail = Pass, "a signed image is pulled through "+way
	case err == nil:
		c.Status, c.Detail = Fail, "a signed image was pulled through "+way+" and nobody looked at its signature"
	case ctx.Err() != nil || gone(err):
		c.Status, c.Detail = Unknown, "the pull of a signed image through "+way+" did not come to an end: "+reason(err)
	default:
		c.Status, c.Detail = Fail, "a signed image was not pulled through "+way+": "+reason(err)
	}
	return c
}

// attempts is how often the unsigned container is tried: the first refusal
// says that verification has begun, and its end must not admit it.
const attempts = 3

// patience is how often the signed one is.
const patience = 10

// create puts an unsigned image into containerd's store and tries to start it.
func (t *trial) create(ctx context.Context, cri bool) error {
	unproved := func(status Status, detail, remedy string) {
		t.add(Check{ID: CheckCreate, Status: status, Detail: "create not proved: " + detail, Remedy: remedy, at: containerd.AtCreate})
	}
	switch {
	case t.PullOnly:
		unproved(Skip, "only pulls were asked for", "")
		return nil
	case t.Settings.Node.NRI.Off:
		unproved(Warn, "nri.off is set: images that are on the node already start unchecked", "take nri.off out of "+t.Settings.Config)
		return nil
	case !cri:
		unproved(Unknown, "this containerd serves no kubelet", "")
		return nil
	}
	if t.facts.Sandbox != "" {
		if has, err := t.containerd.has(ctx, t.facts.Sandbox); err == nil && !has {
			unproved(Unknown, "the image of pods, "+t.facts.Sandbox+", is not on the node", "pull it: crictl pull "+t.facts.Sandbox)
			return nil
		}
	}
	unsigned, err := t.image(CheckCreate)
	if err != nil {
		return err
	}
	t.Progress("an unsigned image to be imported")
	if err := t.containerd.importImage(ctx, unsigned); err != nil && ctx.Err() == nil {
		unproved(Unknown, reason(err), "")
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	t.Progress("a pod without containers")
	config, pod, err := t.containerd.runPod(ctx, t.run)
	if err != nil {
		unproved(Unknown, "no pod could be started: "+reason(err), "")
		return nil
	}
	t.Progress("a container that has to be refused")
	for i := range attempts {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c := t.refused(ctx, t.containerd.create(ctx, pod, config, fmt.Sprintf("unsigned-%d", i), unsigned.name))
		if c.Status != Pass || i == attempts-1 {
			t.add(c)
			break
		}
		pause(ctx, 200*time.Millisecond)
	}
	t.Progress("a container that has to be created")
	return t.created(ctx, pod, func(name, image string) error { return t.containerd.create(ctx, pod, config, name, image) })
}

func (t *trial) refused(ctx context.Context, err error) Check {
	c := Check{ID: CheckCreate, at: containerd.AtCreate}
	switch {
	case err == nil:
		c.Status, c.Detail = Fail, "a container was created of an unsigned image that was imported"
		c.Remedy = "see the agent's status with plomb node status"
		if t.lenient() {
			c.Detail, c.Remedy = c.Detail+"; the node does not enforce", ""
		}
	case ctx.Err() != nil || gone(err):
		c.Status, c.Detail = Unknown, "the creation of a container did not come to an end: "+reason(err)
	case missingPlugin(err):
		c.Status, c.Detail = Fail, "no container can be created, because the agent is not there: "+reason(err)
		c.Remedy = startAgent
	case !byAgent(err):
		c.Status, c.Detail = Fail, "a container of an unsigned image was not created, and not because of plomb: "+reason(err)
	default:
		c.Status, c.Detail = Pass, "no container is created of an unsigned image that was imported: "+reason(err)
	}
	return c
}

// created wants a container of the signed image that was pulled before.
func (t *trial) created(ctx context.Context, pod string, create func(name, image string) error) error {
	c := Check{ID: CheckCreateSigned, at: containerd.AtCreate}
	name := t.registry.host + canary.Folder + t.run + "/" + CheckCRISigned + ":" + canaryTag
	if has, err := t.containerd.has(ctx, name); err != nil || !has {
		c.Status, c.Detail = Unknown, "create not proved: the signed image was not pulled"
		t.add(c)
		return nil
	}
	err := create("signed-0", name)
	// kubelet tries again too, while an image is being verified.
	for i := 1; i < patience && err != nil && byAgent(err) && ctx.Err() == nil; i++ {
		pause(ctx, 500*time.Millisecond)
		err = create(fmt.Sprintf("signed-%d", i), name)
	}
	switch {
	case err == nil:
		c.Status, c.Detail = Pass, "a container is created of a signed image"
	case ctx.Err() != nil || gone(err):
		c.Status, c.Detail = Unknown, "the creation of a container did not come to an end: "+reason(err)
	default:
		c.Status, c.Detail = Fail, "no container is created of a signed image: "+reason(err)
	}
	t.add(c)
	return nil
}

// missingPlugin tells the refusal of NRI's default validator from the agent's.
func missingPlugin(err error) bool {
	return strings.Contains(err.Error(), "required plugin") && strings.Contains(err.Error(), "not present")
}

// agentRefused begins what plomb's agent says of an image (package nri).
const agentRefused = "plomb: image "

// byAgent tells the agent's refusal: NRI puts the plugin's name before it.
func byAgent(err error) bool { return strings.Contains(err.Error(), agentRefused) }

// gone tells that containerd went away or was not there.
func gone(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded, codes.Unimplemented:
		return true
	}
	// containerd's own client has translated the status (errgrpc).
	return errdefs.IsUnavailable(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// reason is the runtime's own text.
func reason(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}

// plombsReason is what plomb-verifier said, without containerd's words.
func plombsReason(err error) string {
	text := reason(err)
	if _, after, found := strings.Cut(text, byPlomb+": "); found {
		return after
	}
	return text
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// sweepLimit is how long cleaning up may take, also after an interrupt.
const sweepLimit = 30 * time.Second

// sweep removes all that this run made, and what earlier ones left.
func (t *trial) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepLimit)
	defer cancel()
	mine := func(name string) bool {
		host, rest, found := strings.Cut(name, "/")
		return found && strings.HasPrefix(host, canary.Host+":") && strings.HasPrefix("/"+rest, canary.Folder)
	}
	return errors.Join(
		t.containerd.removePods(ctx),
		t.containerd.removeImages(ctx, kubernetes, mine),
		t.containerd.removeImages(ctx, own, mine),
		t.containerd.removeNamespace(ctx),
	)
}

func (p *proof) cleanedUp(err error) {
	c := Check{ID: CheckCleanup, Status: Pass, Detail: "nothing of the canaries is left"}
	if err != nil {
		c.Status, c.Detail = Warn, "something of the canaries is left, the next self-test tries again: "+err.Error()
	}
	p.add(c)
}
