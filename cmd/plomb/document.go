// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/platforms"
	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/documents"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/policy"
)

const (
	// An SBOM with all files may have 80 MB.
	documentTimeout        = 5 * time.Minute
	documentRequestTimeout = 4 * time.Minute
)

// documentFlags are those of commands that read what an image says of itself.
type documentFlags struct {
	verifyFlags
}

// trustHelp is the same for all of them.
const trustHelp = `With --policy, PLOMB_POLICY, --key or --certificate-* the image is verified first,
and only what the signature covers is shown. Without, a line on standard error
says that nothing was verified.`

func (f *documentFlags) registerDocument(cmd *cobra.Command) {
	f.timeout, f.requestTimeout = documentTimeout, documentRequestTimeout
	cmd.Flags().Lookup("timeout").DefValue = documentTimeout.String()
}

// document finds the image and, if there is a policy, verifies it. A refusal is
// an errExit, and has been printed.
func (f *documentFlags) document(ctx context.Context, cmd *cobra.Command, arg string, stdio Stdio) (*documents.Image, verify.Request, error) {
	var none verify.Request
	matcher, err := f.checkUsage(arg)
	if err != nil {
		return nil, none, err
	}
	policies, err := f.policy(cmd, stdio)
	verified := err == nil
	if errors.Is(err, errNoPolicy) {
		policies = func() (*policy.Set, error) { return &policy.Set{}, nil }
	} else if err != nil {
		return nil, none, err
	}
	req, refused := f.request(ctx, arg, matcher, policies, stdio)
	if refused != nil {
		return nil, none, fmt.Errorf("%w: %s", errFailed, refused.Reason)
	}
	req.Location = evidence.Cached(req.Location)
	img, err := f.find(ctx, &req, matcher, verified, stdio)
	return img, req, err
}

func (f *documentFlags) find(ctx context.Context, req *verify.Request, matcher platforms.Matcher, verified bool, stdio Stdio) (*documents.Image, error) {
	if matcher == nil {
		var err error
		if matcher, err = documents.ChoosePlatform(ctx, *req); err != nil {
			return nil, fmt.Errorf("%w: %w", errFailed, err)
		}
	}
	req.Platform = matcher
	if !verified {
		img, err := documents.OpenUnverified(ctx, *req)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errFailed, err)
		}
		note(stdio, "not verified: who signed this was not checked; give --policy, --key, or --certificate-identity and --certificate-oidc-issuer")
		return img, nil
	}
	img, d, err := documents.Open(ctx, *req)
	if err == nil {
		return img, nil
	}
	note(stdio, "%v", err)
	if d.Verdict == decision.Undecided {
		return nil, errExit(exitUndecided)
	}
	return nil, errExit(exitDeny)
}

// note writes one harmless line to standard error.
func note(stdio Stdio, format string, args ...any) {
	fmt.Fprintf(stdio.Err, "plomb: %s\n", decision.OneLine(fmt.Sprintf(format, args...)))
}
