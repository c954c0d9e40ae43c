// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package formats has images signed by the real cosign, in every form that it
// writes and in every place that it writes to, and by plomb, and asks plomb and
// cosign about each of them.
//
// matrix_test.go is the table: who signs (key, keyless) × with which proof of
// time (log, timestamp, both, none) × where the signature is (embedded, OCI
// referrer, fallback tag, legacy tag, Docker's chain) × on a registry with the
// referrers API and on one without. attestation_test.go has attestations under
// policies in CUE and Rego, attack_test.go what must not pass, and
// difference_test.go what cosign accepts and plomb does not.
package formats

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

// on is the stand of all tests in this package. Its registry is distribution,
// which has no referrers API; withAPI is host:port of one that has it.
var (
	on      *stand.Stand
	withAPI string
)

// work is a folder with what the tests have in common: keys, tokens, signing
// configs, predicates.
var work string

// The images that tests copy and sign.
var (
	// plain is unsigned, built by BuildKit's own frontend with provenance: an
	// index of one platform and its attestation manifest.
	plain string
	// other is the same with another file in it.
	other string
	// sealed is built and signed by plomb.
	sealed string
)

func TestMain(m *testing.M) {
	os.Exit(standtest.Main(m, func(shared *standtest.Shared) error {
		var err error
		on, err = shared.Start(stand.Options{Only: []string{stand.Registry, stand.Sigstore, stand.Buildkitd}})
		if err != nil {
			return err
		}
		work = filepath.Join(shared.Dir, "work")
		if err := os.Mkdir(work, 0o755); err != nil {
			return err
		}
		var stop func()
		if withAPI, stop, err = harness.Referrers(on, work); err != nil {
			return err
		}
		shared.Cleanup(stop)
		return prepare(context.Background())
	}))
}

// prepare makes what signing needs, and the two images.
func prepare(ctx context.Context) error {
	for _, name := range []string{mine, theirs} {
		p := cosignCommand("generate-key-pair", "--output-key-prefix", filepath.Join(work, name)).Do(ctx)
		if p.Err != nil {
			return fmt.Errorf("%w\n%s", p.Err, p.All)
		}
	}
	for name, flags := range map[string][]string{mine: nil, theirs: {"--repository", "somebody/else"}} {
		token, err := harness.Hack(ctx, on, "token", append(flags, "--lifetime", "1h")...)
		if err != nil {
			return err
		}
		if err := os.WriteFile(tokenFile(name), []byte(token), 0o600); err != nil {
			return err
		}
	}
	if err := writeSigningConfigs(); err != nil {
		return err
	}
	if err := writePredicates(); err != nil {
		return err
	}
	var err error
	if plain, err = build(ctx, "plain", "FROM scratch\nCOPY greeting /\n", attested...); err != nil {
		return err
	}
	if other, err = build(ctx, "other", "FROM scratch\nCOPY greeting /other\n", attested...); err != nil {
		return err
	}
	sealed, err = buildSealed(ctx, "sealed", on.Sigstore)
	return err
}

// attested asks BuildKit for provenance, and so for an attestation manifest.
var attested = []string{"--attest", "type=provenance,mode=min"}

// tokenFile is where the identity token of a signer is. It is good for an hour,
// and for as many signatures as one likes.
func tokenFile(signer string) string { return filepath.Join(work, signer+".token") }

// buildSealed has plomb sign with the Sigstore that a folder describes.
func buildSealed(ctx context.Context, name, sigstore string) (string, error) {
	return build(ctx, name, sealedDockerfile(),
		"--secret", "id=plomb-id-token,src="+tokenFile(mine), "--build-context", "plomb="+sigstore)
}

func sealedDockerfile() string {
	return "# syntax=" + on.Frontend + "\nFROM scratch\nCOPY greeting /\n"
}

func build(ctx context.Context, name, dockerfile string, args ...string) (string, error) {
	dir := filepath.Join(work, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for file, text := range map[string]string{"Dockerfile": dockerfile, "greeting": "hello\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	ref := on.Registry + "/base/" + strings.ToLower(name) + ":v1"
	p := harness.Command{On: on, Args: append(append(harness.Push(ref), args...), dir)}.Do(ctx)
	if p.Err != nil {
		return "", fmt.Errorf("%w\n%s", p.Err, p.All)
	}
	return ref, nil
}
