// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/plugin/credentials"
	"github.com/plombproject/plomb/verify/evidence"
)

const (
	defaultPolicy      = "/etc/plomb/policy"
	defaultTrustedRoot = "/etc/plomb/trusted_root.json"
	defaultNotation    = "/etc/plomb/notation"
	defaultHosts       = "/etc/containerd/certs.d"
	defaultTimeout     = 30 * time.Second
)

// imageFlags say how to get at an image.
type imageFlags struct {
	hosts   string
	timeout time.Duration
	output  string
	// requestTimeout bounds one request; 0 is enough for documents.
	requestTimeout time.Duration
}

func (f *imageFlags) register(cmd *cobra.Command, stdio Stdio) {
	f.registerAccess(cmd, stdio)
	f.registerOutput(cmd)
}

func (f *imageFlags) registerOutput(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "`FORM` of the output: text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// registerAccess is register for commands whose output has forms of its own.
func (f *imageFlags) registerAccess(cmd *cobra.Command, stdio Stdio) {
	f.output = "text"
	flags := cmd.Flags()
	flags.StringVar(&f.hosts, "hosts-dir", envOr(stdio, "PLOMB_HOSTS", defaultHosts), "registry hosts `FOLDER`, in containerd's certs.d form (PLOMB_HOSTS)")
	_ = cmd.MarkFlagDirname("hosts-dir")
	flags.DurationVar(&f.timeout, "timeout", defaultTimeout, "give up after this `TIME`")
}

func (f *imageFlags) check() error {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("--output is %q, want text or json", f.output)
	}
	if f.timeout <= 0 {
		return fmt.Errorf("--timeout is %s, want more than nothing", f.timeout)
	}
	return nil
}

// opened is an image that has been found, though not yet read.
type opened struct {
	name     string
	digest   digest.Digest
	location evidence.Location
}

// open finds the image that arg names: in a folder, or in a registry. A tag is
// resolved once, here; from then on only the digest counts.
func (f *imageFlags) open(ctx context.Context, arg string, offline bool, stdio Stdio) (opened, error) {
	if spec, ok := strings.CutPrefix(arg, evidence.LayoutScheme); ok {
		layout, dgst, err := evidence.OpenLayout(spec)
		return opened{name: arg, digest: dgst, location: layout}, err
	}
	ref, err := evidence.ParseReference(arg)
	if err != nil {
		return opened{name: arg}, err
	}
	o := opened{name: ref.Name, digest: ref.Digest}
	if offline {
		o.location = evidence.Offline{}
		if o.digest == "" {
			return o, fmt.Errorf("%w: a registry would have to say what %s is now; give the image with its digest, or as oci-layout:DIR", evidence.ErrOffline, o.name)
		}
		return o, nil
	}
	registry := evidence.NewRegistry(ref.Name, f.registryOptions(ctx, ref.Name, stdio))
	o.location = registry
	if o.digest == "" {
		o.digest, err = registry.Resolve(ctx)
	}
	return o, err
}

// waiting tells who waits on a terminal for which registry, and for how long.
func (f *imageFlags) waiting(arg string, stdio Stdio) *progress {
	return waitFor(stdio, fmt.Sprintf("%s, %s at most", arg, f.timeout))
}

func (f *imageFlags) registryOptions(ctx context.Context, name string, stdio Stdio) evidence.RegistryOptions {
	return evidence.RegistryOptions{
		HostsDir:       f.hosts,
		Credentials:    credentials.NewDocker(stdio.Getenv).For(ctx, name),
		RequestTimeout: f.requestTimeout,
	}
}

func envOr(stdio Stdio, name, fallback string) string {
	if v := stdio.Getenv(name); v != "" {
		return v
	}
	return fallback
}

// oneImage demands the one argument of verify and inspect.
func oneImage(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("give one IMAGE, not %d: a reference, or oci-layout:DIR[:TAG]", len(args))
	}
	return nil
}
