// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
)

// maxKeys bounds a file of public keys, in bytes.
const maxKeys = 1 << 20

var errNoPolicy = errors.New("who may sign? Give --policy PATH or PLOMB_POLICY, or --certificate-identity and --certificate-oidc-issuer, or --key")

// byIdentity and byKey report which flags name the signer.
func (f *verifyFlags) byIdentity() bool {
	return f.identity+f.identityRegExp+f.issuer+f.issuerRegExp != ""
}

func (f *verifyFlags) byKey() bool { return len(f.keys) > 0 }

// checkSigner refuses flags about the signer that contradict each other.
func (f *verifyFlags) checkSigner() error {
	for _, key := range f.keys {
		if strings.Contains(key, "://") {
			return fmt.Errorf("--key is %q: key services are not asked, write the public key to a file", key)
		}
	}
	switch {
	case f.byKey() && f.byIdentity():
		return errors.New("--key and --certificate-* exclude each other: say with one of them who may sign")
	case f.requireLog && f.ignoreLog:
		return errors.New("--require-tlog and --insecure-ignore-tlog exclude each other")
	case !f.byKey() && !f.byIdentity() && (f.requireLog || f.ignoreLog || f.useTimestamps || f.ignoreSCT):
		return errors.New("--require-tlog, --insecure-ignore-*, --use-signed-timestamps go with --key or --certificate-*: a policy says for itself what it wants")
	}
	return nil
}

// checkEmpty refuses flags that were given with nothing in them, as by a script
// whose variables are not set: the defaults in their place could trust others.
func checkEmpty(cmd *cobra.Command) error {
	for _, name := range []string{
		"certificate-identity", "certificate-identity-regexp", "certificate-oidc-issuer", "certificate-oidc-issuer-regexp",
		"trusted-root", "trust-dir",
	} {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed && flag.Value.String() == "" {
			return fmt.Errorf("--%s is empty: give it a value, or leave it out", name)
		}
	}
	return nil
}

// policy finds out which policy is meant, without reading it.
func (f *verifyFlags) policy(cmd *cobra.Command, stdio Stdio) (policySource, error) {
	if err := checkEmpty(cmd); err != nil {
		return nil, err
	}
	if (f.byIdentity() || f.byKey()) && cmd.Flags().Changed("policy") {
		return nil, errors.New("--policy and --certificate-*, --key exclude each other: say with one of them who may sign")
	}
	if f.byIdentity() || f.byKey() {
		return f.flagPolicy()
	}
	paths := f.policies
	if env := stdio.Getenv("PLOMB_POLICY"); len(paths) == 0 && env != "" {
		paths = []string{env}
	}
	if _, err := os.Stat(defaultPolicy); len(paths) == 0 && err == nil {
		paths = []string{defaultPolicy}
	}
	if len(paths) == 0 {
		return nil, errNoPolicy
	}
	return func() (*policy.Set, error) { return loadAll(paths) }, nil
}

// flagPolicy is the policy that the flags state.
func (f *verifyFlags) flagPolicy() (policySource, error) {
	flags := policy.Flags{
		Hash: f.hash, RequireLog: f.requireLog, IgnoreLog: f.ignoreLog,
		RequireTimestamp: f.useTimestamps, IgnoreSCT: f.ignoreSCT,
	}
	if f.byIdentity() {
		id, err := policy.NewIdentity(f.issuer, f.issuerRegExp, f.identity, f.identityRegExp)
		if err != nil {
			return nil, fmt.Errorf("%w; give one --certificate-identity[-regexp] and one --certificate-oidc-issuer[-regexp]", err)
		}
		flags.Identity = &id
		return func() (*policy.Set, error) { return policy.ForFlags(flags) }, nil
	}
	keys, err := f.readKeys()
	if err != nil {
		return nil, err
	}
	flags.Keys = keys
	return func() (*policy.Set, error) { return policy.ForFlags(flags) }, nil
}

// readKeys reads the public keys and tries them, so that a wrong file is wrong
// usage and not a refused image.
func (f *verifyFlags) readKeys() (string, error) {
	var all strings.Builder
	for _, name := range f.keys {
		data, err := limit.ReadFile(name, maxKeys)
		if err != nil {
			return "", fmt.Errorf("--key: %w", err)
		}
		if _, err := trust.ParseKeys(data, f.hash); err != nil {
			return "", fmt.Errorf("--key %s: %w", name, err)
		}
		all.Write(data)
		all.WriteByte('\n')
	}
	return all.String(), nil
}

// roots gives the trusted roots of this machine, or the one that was named.
func (f *verifyFlags) roots() verify.TrustSource {
	return verify.Installed{File: f.trustedRoot, Default: defaultTrustedRoot, Store: trust.Store{Dir: f.trustStore}}
}
