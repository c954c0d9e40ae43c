// SPDX-License-Identifier: Apache-2.0

//go:build integration

package formats

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
)

// The two signers: each has a key pair and an identity token.
const (
	mine   = "mine"
	theirs = "theirs"
)

// The identity of mine's tokens.
const (
	issuer   = "https://token.actions.githubusercontent.com"
	identity = "https://github.com/plombproject/demo/.github/workflows/release.yml@refs/heads/main"
)

// A method is how somebody signs with cosign.
type method struct {
	signer  string // mine or theirs
	keyless bool
	proof   proof
	form    form
}

// A proof is what vouches for the time of a signature.
type proof string

const (
	logged  proof = "log"
	stamped proof = "timestamp"
	both    proof = "both"
	none    proof = "none"
	// loggedV2 is the new log without a timestamp, which cosign writes with a
	// key only.
	loggedV2 proof = "log v2"
)

func (p proof) log() bool   { return p == logged || p == loggedV2 || p == both }
func (p proof) stamp() bool { return p == stamped || p == both }

// A form is what cosign writes.
type form string

const (
	// bundle is a Sigstore bundle in an OCI referrer, cosign's default.
	bundle form = "bundle"
	// legacy is a layer with annotations under a tag, cosign's only form until
	// 2024.
	legacy form = "legacy"
	// experimental is the same layer in an OCI referrer.
	experimental form = "experimental"
)

// cosignProgram is what hack/tools --oracles builds.
func cosignProgram() string {
	path, err := filepath.Abs("../../.build/tools/cosign")
	if err != nil {
		panic(err) // no working directory
	}
	return path
}

func cosignCommand(args ...string) harness.Command {
	return harness.Command{On: on, Name: cosignProgram(), Args: args, Env: []string{
		"HOME=" + work, "COSIGN_PASSWORD=", "COSIGN_EXPERIMENTAL=1",
		// cosign would fetch the public instance's root.
		"TUF_ROOT=" + filepath.Join(work, "tuf"),
	}}
}

func cosign(t *testing.T, args ...string) harness.Printout {
	t.Helper()
	return cosignCommand(args...).Run(t)
}

// sign signs ref by that method.
func sign(t *testing.T, m method, ref string, more ...string) {
	t.Helper()
	args := append([]string{"sign"}, m.args(t)...)
	p := cosign(t, append(append(args, more...), ref)...)
	require.NoError(t, p.Err, p.All)
}

// attest signs an attestation about ref by that method.
func attest(t *testing.T, m method, ref, kind string, more ...string) {
	t.Helper()
	args := append([]string{"attest", "--type", kind, "--predicate", predicateFile(kind)}, m.args(t)...)
	p := cosign(t, append(append(args, more...), ref)...)
	require.NoError(t, p.Err, p.All)
}

// args are the flags of `cosign sign` and `cosign attest`.
func (m method) args(t *testing.T) []string {
	t.Helper()
	args := []string{"--yes", "--allow-http-registry", "--trusted-root", on.TrustedRoot()}
	if m.keyless {
		args = append(args, "--identity-token", tokenFile(m.signer))
	} else {
		args = append(args, "--key", filepath.Join(work, m.signer+".key"))
	}
	if !m.logsV1() {
		return append(args, "--signing-config", signingConfig(m.proof))
	}
	args = append(args, "--use-signing-config=false")
	if m.keyless {
		args = append(args, "--fulcio-url", service(t, "fulcio"))
	}
	if m.proof.log() {
		args = append(args, "--rekor-url", service(t, "rekor-v1"))
	} else {
		args = append(args, "--tlog-upload=false")
	}
	if m.proof.stamp() {
		args = append(args, "--timestamp-server-url", service(t, "tsa/api/v1/timestamp"))
	}
	if m.form != bundle {
		args = append(args, "--new-bundle-format=false")
	}
	if m.form == experimental {
		args = append(args, "--registry-referrers-mode", "oci-1-1")
	}
	return args
}

// logsV1 reports whether the method would write to Rekor v1. The old forms know
// no other log, and a log alone is Rekor v1, because v2 vouches for no time.
func (m method) logsV1() bool { return m.form != bundle || m.proof == logged }

// logURL is the log that the method writes to, as the trusted root names it.
func (m method) logURL() string {
	if m.logsV1() {
		return "http://rekor-v1.localhost"
	}
	return "http://rekor.localhost"
}

// A signingService is an entry of a signing config.
type signingService struct {
	URL string `json:"url"`
}

func readSigningConfig() (map[string]json.RawMessage, error) {
	data, err := os.ReadFile(filepath.Join(on.Sigstore, "signing_config.json"))
	if err != nil {
		return nil, err
	}
	var config map[string]json.RawMessage
	return config, json.Unmarshal(data, &config)
}

// service is the URL of a service of the stand's Sigstore.
func service(t *testing.T, path string) string {
	t.Helper()
	config, err := readSigningConfig()
	require.NoError(t, err)
	var authorities []signingService
	require.NoError(t, json.Unmarshal(config["caUrls"], &authorities))
	return strings.TrimSuffix(authorities[0].URL, "fulcio") + path
}

func signingConfig(p proof) string { return filepath.Join(work, string(p)+".signing_config.json") }

// writeSigningConfigs writes the stand's signing config once for each proof,
// without the services that the proof does without.
func writeSigningConfigs() error {
	for _, p := range []proof{loggedV2, stamped, both, none} {
		config, err := readSigningConfig()
		if err != nil {
			return err
		}
		if !p.log() {
			delete(config, "rekorTlogUrls")
		}
		if !p.stamp() {
			delete(config, "tsaUrls")
		}
		data, err := json.Marshal(config)
		if err != nil {
			return err
		}
		if err := os.WriteFile(signingConfig(p), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// cosignAccepts asks cosign itself about an image or a part of it.
func cosignAccepts(t *testing.T, command string, who []string, f form, ref string, more ...string) bool {
	t.Helper()
	args := slices.Concat([]string{command, "--trusted-root", on.TrustedRoot(), "--allow-http-registry", "--offline"}, who, more)
	if f == experimental {
		args = append(args, "--experimental-oci11")
	}
	p := cosign(t, append(args, ref)...)
	t.Log(fmt.Sprintln("cosign", command, more, p.Status), p.Stderr)
	return p.Status == 0
}

// As cosign and plomb spell who is welcome.
func byKey(signer string) []string {
	return []string{"--key", filepath.Join(work, signer+".pub")}
}

func byIdentity() []string {
	return []string{"--certificate-identity", identity, "--certificate-oidc-issuer", issuer}
}

// by is one of the two, for mine.
func (m method) by() []string {
	if m.keyless {
		return byIdentity()
	}
	return byKey(mine)
}
