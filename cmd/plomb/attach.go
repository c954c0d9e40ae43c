// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/platforms"
	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/verify/attach"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
)

type attachFlags struct {
	imageFlags
	platform string
	dry      bool
}

func attachCommand(stdio Stdio) *cobra.Command {
	var f attachFlags
	cmd := &cobra.Command{
		Use:   "attach [flags] IMAGE",
		Short: "Publish an image's embedded signature as an OCI referrer as well",
		Long: `attach takes the signature bundle that travels inside the image index and
publishes it once more, as an OCI 1.1 referrer of each platform's manifest, where
cosign and other tools look. On a registry without the referrers API the list
under the tag sha256-<digest> is extended. Nothing is signed and the image stays as
it is, so no identity is needed, only the right to push. What is there already is
not written again.

cosign verifies a bundle that names the manifest: build with
--build-arg PLOMB_SUBJECTS=manifest, and give cosign the digest of the manifest.

Exit status: 0 attached or there already, 1 the image has nothing to attach, 2 it
could not be done, 64 wrong usage.`,
		Example: `  plomb attach --dry-run registry.example/shop/app:v1
  plomb attach registry.example/shop/app:v1`,
		Args: oneImage,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args[0], stdio)
		},
	}
	f.register(cmd, stdio)
	cmd.Flags().StringVar(&f.platform, "platform", "", "attach for this `OS/ARCH` only")
	cmd.Flags().BoolVar(&f.dry, "dry-run", false, "write nothing, and say what would be written")
	return cmd
}

func (f *attachFlags) run(cmd *cobra.Command, arg string, stdio Stdio) error {
	matcher, err := f.usage(arg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	img, err := f.open(ctx, arg, false, stdio)
	if err != nil {
		return fmt.Errorf("%w: attach %s: %w", errFailed, arg, err)
	}
	repo, err := evidence.NewPublisher(img.name, f.registryOptions(ctx, img.name, stdio))
	if err != nil {
		return fmt.Errorf("%w: attach %s: %w", errFailed, arg, err)
	}
	done, err := attach.Attach(ctx, evidence.Cached(img.location), img.digest, matcher, repo, f.dry)
	if printErr := printAttached(stdio, f.output, img, done); printErr != nil {
		return fmt.Errorf("%w: write what was attached: %w", errFailed, printErr)
	}
	if errors.Is(err, attach.ErrNothing) {
		note(stdio, "%v", err)
		return errExit(exitDeny)
	}
	if err != nil {
		return fmt.Errorf("%w: attach %s: %w", errFailed, arg, err)
	}
	return nil
}

func (f *attachFlags) usage(arg string) (platforms.Matcher, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if isLayout(arg) {
		return nil, errors.New("a referrer needs a registry: push the folder first, then attach")
	}
	if _, err := evidence.ParseReference(arg); err != nil {
		return nil, err
	}
	if f.platform == "" {
		return attach.AnyPlatform{}, nil
	}
	return parsePlatform(f.platform)
}

func printAttached(stdio Stdio, form string, img opened, done []attach.Outcome) error {
	if form == "json" {
		if done == nil {
			done = []attach.Outcome{}
		}
		return printJSON(stdio.Out, done)
	}
	p := newPage(stdio)
	words := map[string]string{attach.Attached: "attached", attach.Present: "there already", attach.WouldAttach: "would be attached"}
	for _, o := range done {
		p.line(0, "image", "%s", decision.Image{Name: img.name, Digest: img.digest})
		p.line(1, "platform", "%s: %s", o.Platform, words[o.Status])
		p.line(2, "manifest", "%s", o.Manifest)
		p.line(2, "bundle", "%s", o.Bundle)
		p.line(2, "referrer", "%s", o.Referrer)
		if o.Tag != "" {
			p.line(2, "listed in", "tag %s: the registry has no referrers API", o.Tag)
		}
		if !o.Named {
			p.line(2, "note", "the statement names the image ID and not this manifest, so cosign will not verify it; build with --build-arg PLOMB_SUBJECTS=manifest")
		}
	}
	return p.err
}
