// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/reproduce"
)

const (
	// A build may take hours, and a layer longer than a document.
	reproduceTimeout = 2 * time.Hour
	layerTimeout     = 30 * time.Minute
)

type reproduceFlags struct {
	verifyFlags
	dir        string
	file       string
	builder    string
	keep       string
	skipVerify bool
	args       []string
	contexts   []string
	secrets    []string
	ssh        []string
	allow      []string
}

func reproduceCommand(stdio Stdio) *cobra.Command {
	var f reproduceFlags
	cmd := &cobra.Command{
		Use:   "reproduce [flags] IMAGE",
		Short: "Build an image again from its signed provenance, and compare",
		Long: `reproduce verifies an image as plomb verify does, reads the signed provenance,
gets the sources it names, builds them again without cache, and compares the two
images bit for bit. Where they differ, it names the files, the Dockerfile
instruction that made them, and a likely cause.

The sources come from git, at the commit in the provenance, or from --context,
whose content must be what was built. The build runs with buildx, on a builder of
yours: use one that has not built the image before.

IMAGE is a reference with or without digest, or oci-layout:DIR[:TAG].

Exit status: 0 identical, 1 differs, 2 could not tell, 64 wrong usage.`,
		Example: `  plomb reproduce registry.example/shop/app:v1
  plomb reproduce --context . --builder fresh --output json registry.example/shop/app@sha256:…`,
		Args: oneImage,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args[0], stdio)
		},
	}
	f.register(cmd, stdio)
	flags := cmd.Flags()
	// The default of the other commands is for documents.
	f.timeout = reproduceTimeout
	flags.Lookup("timeout").DefValue = reproduceTimeout.String()
	flags.StringVar(&f.dir, "context", "", "`DIR` with the sources; else they are fetched with git, if the provenance tells from where")
	flags.StringArrayVar(&f.contexts, "build-context", nil, "`NAME=DIR` of a named local context, may be repeated")
	flags.StringVarP(&f.file, "file", "f", "", "the Dockerfile, as `PATH`; else that of the provenance in the context")
	flags.StringVar(&f.builder, "builder", "", "buildx builder `NAME`; else buildx's current one")
	flags.StringArrayVar(&f.args, "build-arg", nil, "`NAME=VALUE` of a build argument that the provenance left out as a secret, may be repeated")
	flags.StringArrayVar(&f.secrets, "secret", nil, "secret for the build, `AS buildx` takes it, may be repeated")
	flags.StringArrayVar(&f.ssh, "ssh", nil, "SSH agent or key for the build, `AS buildx` takes it, may be repeated")
	flags.StringArrayVar(&f.allow, "allow", nil, "`ENTITLEMENT` for the build, as buildx takes it, may be repeated")
	flags.StringVar(&f.keep, "keep", "", "keep the rebuilt image, the sources and the report in this new or empty `DIR`")
	flags.BoolVar(&f.skipVerify, "insecure-skip-verify", false, "DANGEROUS: build from provenance that nobody vouches for; whoever made the image then chooses what runs on your builder")
	return cmd
}

// run reproduces, prints, and gives the verdict as exit status.
func (f *reproduceFlags) run(cmd *cobra.Command, arg string, stdio Stdio) error {
	f.requestTimeout = layerTimeout
	matcher, policies, err := f.usage(cmd, arg, stdio)
	if err != nil {
		return err
	}
	if matcher == nil {
		matcher = platforms.Default()
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	w, err := f.workplace(stdio)
	if err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	defer w.clean()
	report := &reproduce.Report{Schema: reproduce.Schema, Verdict: reproduce.Undecided, Image: decision.Image{Name: arg}}
	if err := f.reproduce(ctx, w, report, arg, matcher, policies, stdio); err != nil {
		report.Verdict, report.Reason = reproduce.Undecided, decision.OneLine(err.Error())
	}
	if err := errors.Join(printReproduction(stdio, f.output, report), w.write("report.json", report)); err != nil {
		return fmt.Errorf("%w: write the report: %w", errFailed, err)
	}
	switch report.Verdict {
	case reproduce.Identical:
		return nil
	case reproduce.Differs:
		return errExit(exitDeny)
	}
	return errExit(exitUndecided)
}

// usage refuses what cannot be meant, before anything is fetched.
func (f *reproduceFlags) usage(cmd *cobra.Command, arg string, stdio Stdio) (platforms.Matcher, func() (*policy.Set, error), error) {
	matcher, err := f.checkUsage(arg)
	if err != nil {
		return nil, nil, err
	}
	if f.offline && f.dir == "" {
		return nil, nil, errors.New("--offline needs --context: sources cannot be fetched")
	}
	for flag, list := range map[string][]string{"--build-arg": f.args, "--build-context": f.contexts} {
		for _, pair := range list {
			if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
				return nil, nil, fmt.Errorf("%s is %q, want NAME=VALUE", flag, pair)
			}
		}
	}
	for _, pair := range f.args {
		if strings.HasPrefix(pair, "PLOMB_") || strings.HasPrefix(pair, "BUILDKIT_SYNTAX=") {
			return nil, nil, fmt.Errorf("--build-arg %q: plomb's own arguments come from the provenance", pair)
		}
	}
	if f.dir != "" {
		if info, err := os.Stat(f.dir); err != nil || !info.IsDir() {
			return nil, nil, fmt.Errorf("--context %q is not a folder", f.dir)
		}
	}
	if f.skipVerify {
		return matcher, func() (*policy.Set, error) { return &policy.Set{}, nil }, nil
	}
	policies, err := f.policy(cmd, stdio)
	return matcher, policies, err
}

// reproduce is the flow; what it finds out is in the report.
func (f *reproduceFlags) reproduce(ctx context.Context, w *workplace, report *reproduce.Report, arg string, matcher platforms.Matcher, policies policySource, stdio Stdio) error {
	w.say("reading and verifying %s", arg)
	req, refused := f.request(ctx, arg, matcher, policies, stdio)
	if refused != nil {
		return fmt.Errorf("%w: %s", reproduce.ErrUnverified, refused.Line())
	}
	report.Image = decision.Image{Name: req.Name, Digest: req.Descriptor.Digest}
	var original *reproduce.Original
	var err error
	if f.skipVerify {
		w.say("WARNING: the provenance is not verified: whoever made the image chooses what is built")
		original, err = reproduce.FindUnverified(ctx, req)
	} else {
		original, _, err = reproduce.Find(ctx, req)
	}
	if err != nil {
		return err
	}
	report.Platform, report.Signer, report.Verified = original.Platform(), original.Signer, original.Signer != nil
	if err := w.write("provenance.json", original.Provenance); err != nil {
		return err
	}
	plan, err := reproduce.NewPlan(original.Provenance, original.Platform(), reproduce.Given{Args: pairs(f.args)})
	if err != nil {
		return err
	}
	report.Notes = plan.Notes
	in, err := f.sources(ctx, w, plan)
	if err != nil {
		return err
	}
	layout := filepath.Join(w.dir, "rebuilt")
	w.say("building it again for %s", original.Platform())
	if err := f.build(ctx, w, plan, in, layout, reproduce.Compression(original.Layers())); err != nil {
		return err
	}
	w.say("comparing")
	rebuilt, digest, err := evidence.OpenLayout(layout)
	if err != nil {
		return err
	}
	return reproduce.Compare(ctx, report, original, req.Location, digest, rebuilt)
}

func pairs(list []string) map[string]string {
	out := map[string]string{}
	for _, pair := range list {
		name, value, _ := strings.Cut(pair, "=")
		out[name] = value
	}
	return out
}
