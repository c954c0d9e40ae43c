// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
)

// maxArtifact bounds a file that a bundle is verified over (1 GiB): it is read
// into memory. Of a larger one, give the digest.
const maxArtifact = 1 << 30

func verifyBundleCommand(stdio Stdio) *cobra.Command {
	f := verifyFlags{imageFlags: imageFlags{timeout: defaultTimeout}}
	var bundle string
	cmd := &cobra.Command{
		Use:   "verify-bundle --bundle FILE (--certificate-identity I --certificate-oidc-issuer U | --key K) FILE_OR_DIGEST",
		Short: "Verify a Sigstore bundle over a file or a digest, outside any registry",
		Long: `verify-bundle decides about an artifact that is no image: a release archive, a
binary, a document. It verifies the bundle as verify does those of images, and
makes no network request.

FILE_OR_DIGEST is the artifact, or sha256:HEX if there is no file of that name.
A bundle with a statement is accepted if one of its subjects is the artifact.

A certificate needs a trusted root: that of the public Sigstore after plomb trust
update public-good, or a file with --trusted-root. A key needs none, unless a log
entry or a timestamp is asked for.

Exit status: 0 allowed, 1 denied, 2 undecided, 64 wrong usage.`,
		Example: `  plomb verify-bundle --bundle app.tar.gz.sigstore.json \
    --certificate-identity https://github.com/shop/app/.github/workflows/release.yml@refs/tags/v1 \
    --certificate-oidc-issuer https://token.actions.githubusercontent.com app.tar.gz
  plomb verify-bundle --bundle sbom.sigstore.json --key release.pub sha256:…
  plomb verify-bundle --bundle app.sigstore.json --trusted-root trusted_root.json \
    --certificate-identity release@shop.example --certificate-oidc-issuer https://login.shop.example app
  cosign sign-blob --bundle app.sigstore.json app    # makes such a bundle`,
		SuggestFor: []string{"verify-blob", "verify-blob-attestation"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("give one FILE_OR_DIGEST, not %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.runBundle(cmd, bundle, args[0], stdio) },
	}
	flags := cmd.Flags()
	flags.StringVar(&bundle, "bundle", "", "Sigstore bundle `FILE`")
	_ = cmd.MarkFlagFilename("bundle", "json", "sigstore", "bundle")
	f.registerSigner(cmd, stdio)
	f.registerOutput(cmd)
	return cmd
}

func (f *verifyFlags) runBundle(cmd *cobra.Command, bundle, arg string, stdio Stdio) error {
	if err := f.imageFlags.check(); err != nil {
		return err
	}
	if err := checkEmpty(cmd); err != nil {
		return err
	}
	if err := f.checkSigner(); err != nil {
		return err
	}
	if bundle == "" {
		return errors.New("give the Sigstore bundle with --bundle FILE")
	}
	if !f.byIdentity() && !f.byKey() {
		return errors.New("who may sign? Give --certificate-identity and --certificate-oidc-issuer, or --key")
	}
	policies, err := f.flagPolicy()
	if err != nil {
		return err
	}
	d := f.decideBundle(cmd.Context(), bundle, arg, policies)
	if err := printDecision(stdio, f.output, d); err != nil {
		return fmt.Errorf("%w: write the decision: %w", errFailed, err)
	}
	return exitWith(d)
}

// decideBundle always has a decision, also where a file cannot be read.
func (f *verifyFlags) decideBundle(ctx context.Context, bundle, arg string, policies policySource) *decision.Decision {
	refused := func(err error) *decision.Decision {
		return verify.Refused(arg, ocispec.Descriptor{}, fmt.Errorf("%w: %w", verify.ErrRequest, err), time.Now())
	}
	set, err := policies()
	if err != nil {
		return refused(err)
	}
	req := verify.BlobRequest{Name: arg, Where: bundle, Policy: set, Trust: f.roots()}
	if req.Bundle, err = limit.ReadFile(bundle, provenance.MaxBundleSize); err != nil {
		return refused(fmt.Errorf("--bundle: %w", err))
	}
	if req.Artifact, req.Digests, err = artifact(arg); err != nil {
		return refused(err)
	}
	return verify.Blob(ctx, req)
}

// artifact reads the file, unless arg is a digest and no file.
func artifact(arg string) ([]byte, []digest.Digest, error) {
	_, statErr := os.Stat(arg)
	if dgst, err := digest.Parse(arg); err == nil && statErr != nil && strings.Contains(arg, ":") {
		return nil, []digest.Digest{dgst}, nil
	}
	data, err := limit.ReadFile(arg, maxArtifact)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w; it is no digest either: write that as sha256: and 64 hexadecimal digits", err)
	}
	if errors.Is(err, limit.ErrTooLarge) {
		return nil, nil, fmt.Errorf("%w; give its digest, sha256:HEX", err)
	}
	if err != nil {
		return nil, nil, err
	}
	if data == nil {
		data = []byte{}
	}
	s256, s384, s512 := sha256.Sum256(data), sha512.Sum384(data), sha512.Sum512(data)
	return data, []digest.Digest{
		digest.NewDigestFromBytes(digest.SHA256, s256[:]),
		digest.NewDigestFromBytes(digest.SHA384, s384[:]),
		digest.NewDigestFromBytes(digest.SHA512, s512[:]),
	}, nil
}

// exitWith is the exit status of a decision.
func exitWith(d *decision.Decision) error {
	switch d.Verdict {
	case decision.Allow:
		return nil
	case decision.Deny:
		return errExit(exitDeny)
	}
	return errExit(exitUndecided)
}
