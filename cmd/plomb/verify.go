// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
)

// noMatches are the values of --no-match-policy.
var noMatches = []string{"deny", "warn", "allow"}

// policySource reads the policy that the command line means.
type policySource func() (*policy.Set, error)

type verifyFlags struct {
	imageFlags
	policies    []string
	trustedRoot string
	trustStore  string
	noMatch     string
	platform    string
	name        string
	offline     bool
	notation    string

	keys                     []string
	hash                     string
	requireLog, ignoreLog    bool
	useTimestamps, ignoreSCT bool

	identity, identityRegExp string
	issuer, issuerRegExp     string

	attestations  bool
	requireSigned bool
}

func verifyCommand(stdio Stdio) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify [flags] IMAGE",
		Short: "Verify that an image was built and signed by somebody the policy names",
		Long: `verify decides about one image: it finds signatures inside the image index, among
the referrers and under cosign's tags, verifies certificate or key, log entry and
timestamp, checks that they are about this very image, and asks the policy whether
a signer is welcome. It reads what plomb, cosign, GitHub and notation sign.

IMAGE is a reference with or without digest, or oci-layout:DIR[:TAG].

Of an allowed image it then lists the attestations, such as SBOMs, and whether
the signed provenance names each of them. They do not change the verdict.

Without --policy and PLOMB_POLICY, name the one signer you want with --key or the
--certificate-* flags; given, they take the place of the policy folder. Signatures
of the Notary Project need an ImagePolicy. What a refused image would need says
plomb policy explain, with the same flags.

Exit status: 0 allowed, 1 denied, 2 undecided, 64 wrong usage. With
--require-signed-attestations also 1 for an allowed image whose SBOMs are not
the signed ones, and 2 if that could not be told.`,
		Example: `  plomb verify registry.example/shop/app:v1
  plomb verify --key release.pub registry.example/shop/app:v1
  plomb verify --policy ./policy --output json registry.example/shop/app@sha256:…
  plomb verify --certificate-oidc-issuer https://token.actions.githubusercontent.com \
    --certificate-identity https://github.com/shop/app/.github/workflows/release.yml@refs/heads/main \
    oci-layout:./image`,
		Args: oneImage,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args[0], stdio)
		},
	}
	f.register(cmd, stdio)
	cmd.Flags().BoolVar(&f.attestations, "attestations", true, "tell signed attestations from unsigned ones, which means to fetch them")
	cmd.Flags().BoolVar(&f.requireSigned, "require-signed-attestations", false, "exit with 1 unless the attestations that the provenance names are there, and no others but BuildKit's own provenance")
	return cmd
}

func (f *verifyFlags) register(cmd *cobra.Command, stdio Stdio) {
	f.imageFlags.register(cmd, stdio)
	f.registerTrust(cmd, stdio)
}

// registerTrust adds the flags that say who is trusted, and for what.
func (f *verifyFlags) registerTrust(cmd *cobra.Command, stdio Stdio) {
	f.registerSigner(cmd, stdio)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.policies, "policy", nil, "policy file or folder `PATH`, may be repeated (PLOMB_POLICY, else "+defaultPolicy+")")
	flags.StringVar(&f.noMatch, "no-match-policy", envOr(stdio, "PLOMB_NO_MATCH_POLICY", "deny"), "`VERDICT` on an image that no policy is about: deny, warn or allow (PLOMB_NO_MATCH_POLICY)")
	_ = cmd.RegisterFlagCompletionFunc("no-match-policy", cobra.FixedCompletions(noMatches, cobra.ShellCompDirectiveNoFileComp))
	flags.StringVar(&f.platform, "platform", "", "verify what a node of this `OS/ARCH` could run, not what this machine could")
	_ = cmd.RegisterFlagCompletionFunc("platform", cobra.FixedCompletions([]string{"linux/amd64", "linux/arm64", "linux/arm/v7", "linux/ppc64le", "linux/riscv64", "linux/s390x"}, cobra.ShellCompDirectiveNoFileComp))
	flags.StringVar(&f.name, "name", "", "`NAME` that policies see, for an image in a folder")
	flags.BoolVar(&f.offline, "offline", false, "make no network request")
	flags.StringVar(&f.notation, "notation-dir", envOr(stdio, "PLOMB_NOTATION", defaultNotation), "`FOLDER` with trust stores and revocation lists for Notary Project signatures (PLOMB_NOTATION)")
	_ = cmd.MarkFlagDirname("notation-dir")
}

// registerSigner adds the flags that name the one signer, and what has to vouch
// for the signature.
func (f *verifyFlags) registerSigner(cmd *cobra.Command, stdio Stdio) {
	flags := cmd.Flags()
	flags.StringVar(&f.trustedRoot, "trusted-root", envOr(stdio, "PLOMB_TRUSTED_ROOT", ""), "trusted_root.json `FILE` (PLOMB_TRUSTED_ROOT, else "+defaultTrustedRoot+", else all instances of --trust-dir)")
	flags.StringVar(&f.trustStore, "trust-dir", envOr(stdio, "PLOMB_TRUST", trust.DefaultStore), "`FOLDER` with trust instances, see plomb trust (PLOMB_TRUST)")
	_ = cmd.MarkFlagDirname("trust-dir")
	_ = cmd.MarkFlagFilename("trusted-root", "json")
	flags.StringVar(&f.identity, "certificate-identity", "", "`SUBJECT` the certificate must have")
	flags.StringVar(&f.identityRegExp, "certificate-identity-regexp", "", "`REGEXP` for the subject, matches anywhere unless anchored")
	flags.StringVar(&f.issuer, "certificate-oidc-issuer", "", "`ISSUER` the certificate must have")
	flags.StringVar(&f.issuerRegExp, "certificate-oidc-issuer-regexp", "", "`REGEXP` for the issuer, matches anywhere unless anchored")
	flags.StringArrayVar(&f.keys, "key", nil, "`FILE` with public keys in PEM, any of which may have signed; may be repeated")
	flags.StringVar(&f.hash, "signature-digest-algorithm", "", "`HASH` that --key signs: sha256, sha384 or sha512; else the one that goes with the key")
	_ = cmd.RegisterFlagCompletionFunc("signature-digest-algorithm", cobra.FixedCompletions([]string{"sha256", "sha384", "sha512"}, cobra.ShellCompDirectiveNoFileComp))
	flags.BoolVar(&f.requireLog, "require-tlog", false, "with --key: demand an entry in a trusted transparency log")
	flags.BoolVar(&f.ignoreLog, "insecure-ignore-tlog", false, "demand no log entry for a certificate; a timestamp must then tell the time of signing")
	flags.BoolVar(&f.useTimestamps, "use-signed-timestamps", false, "demand a timestamp by a trusted authority")
	flags.BoolVar(&f.ignoreSCT, "insecure-ignore-sct", false, "demand no proof that certificate transparency has seen the certificate")
}

// run decides, prints, and gives the verdict as exit status.
func (f *verifyFlags) run(cmd *cobra.Command, arg string, stdio Stdio) error {
	matcher, err := f.checkUsage(arg)
	if err != nil {
		return err
	}
	policies, err := f.policy(cmd, stdio)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	if f.attestations {
		f.requestTimeout = f.timeout // an SBOM may take longer than a document
	}
	d := f.decide(ctx, arg, matcher, policies, stdio)
	if err := printDecision(stdio, f.output, d); err != nil {
		return fmt.Errorf("%w: write the decision: %w", errFailed, err)
	}
	if d.Verdict == decision.Allow {
		return f.attested(d, stdio)
	}
	if f.output == "text" && onTerminal(stdio.Err) {
		note(stdio, "plomb policy explain, with the same flags, says what would let it pass")
	}
	return exitWith(d)
}

// attested gives the exit status of --require-signed-attestations.
func (f *verifyFlags) attested(d *decision.Decision, stdio Stdio) error {
	if !f.requireSigned {
		return nil
	}
	err := verify.CheckAttestations(d)
	if err == nil {
		return nil
	}
	fmt.Fprintf(stdio.Err, "plomb: %s\n", decision.OneLine(err.Error()))
	if errors.Is(err, verify.ErrAttestationsUnknown) {
		return errExit(exitUndecided)
	}
	return errExit(exitDeny)
}

// checkUsage refuses what cannot be meant, before anything is fetched.
func (f *verifyFlags) checkUsage(arg string) (platforms.Matcher, error) {
	if err := f.imageFlags.check(); err != nil {
		return nil, err
	}
	if err := f.checkSigner(); err != nil {
		return nil, err
	}
	if _, err := evidence.ParseReference(arg); err != nil && !isLayout(arg) {
		return nil, err
	}
	if !slices.Contains(noMatches, f.noMatch) {
		return nil, fmt.Errorf("--no-match-policy is %q, want %s", f.noMatch, strings.Join(noMatches, ", "))
	}
	if f.requireSigned && !f.attestations {
		return nil, errors.New("--require-signed-attestations needs --attestations")
	}
	if f.platform == "" {
		return nil, nil
	}
	return parsePlatform(f.platform)
}

func parsePlatform(text string) (platforms.Matcher, error) {
	p, err := platforms.Parse(text)
	if err != nil || !strings.Contains(text, "/") {
		return nil, fmt.Errorf("--platform is %q: write it as OS/ARCH, such as linux/arm64", text)
	}
	return platforms.Only(p), nil
}

func loadAll(paths []string) (*policy.Set, error) {
	var sets []*policy.Set
	var faults []error
	for _, path := range paths {
		set, err := policy.Load(path)
		faults = append(faults, err)
		sets = append(sets, set)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return policy.Merge(sets...)
}

// decide always has a decision: what goes wrong before verify is one as well.
func (f *verifyFlags) decide(ctx context.Context, arg string, matcher platforms.Matcher, policies policySource, stdio Stdio) *decision.Decision {
	defer f.waiting(arg, stdio).stop()
	req, refused := f.request(ctx, arg, matcher, policies, stdio)
	if refused != nil {
		return refused
	}
	return verify.Verify(ctx, req)
}

// request is what verify has to be asked, or the decision where it cannot be.
func (f *verifyFlags) request(ctx context.Context, arg string, matcher platforms.Matcher, policies policySource, stdio Stdio) (verify.Request, *decision.Decision) {
	set, err := policies()
	if err == nil {
		set, err = set.WithNoMatch(policy.NoMatch(f.noMatch))
	}
	if err != nil {
		return verify.Request{}, verify.Refused(arg, ocispec.Descriptor{}, err, time.Now())
	}
	img, err := f.open(ctx, arg, f.offline, stdio)
	if f.name != "" {
		img.name = f.name
	}
	desc := ocispec.Descriptor{Digest: img.digest}
	if err != nil {
		d := verify.Refused(img.name, desc, err, time.Now())
		if img.location != nil {
			d.Requests = img.location.Requests()
		}
		return verify.Request{}, d
	}
	return verify.Request{
		Name:       img.name,
		Descriptor: desc,
		Policy:     set,
		Trust:      f.roots(),
		Location:   img.location,
		Locate:     f.locate(ctx, stdio),
		Notation:   f.notation,
		Platform:   matcher,

		Attestations: f.attestations,
	}, nil
}

// locate opens the other repositories that policies name.
func (f *verifyFlags) locate(ctx context.Context, stdio Stdio) func(string) (evidence.Location, error) {
	if f.offline {
		return nil
	}
	return func(repository string) (evidence.Location, error) {
		return evidence.NewRegistry(repository, f.registryOptions(ctx, repository, stdio)), nil
	}
}
