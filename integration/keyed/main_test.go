// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package keyed has plomb sign with keys on real daemons: every kind of key,
// with and without log and timestamp, verified by plomb and by the real cosign;
// and what is refused.
package keyed

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

// on is the stand of all tests in this package; base is its busybox image.
var (
	on   *stand.Stand
	base string
)

// work is a folder with keys and with a folder of settings for each proof.
var work string

// password opens the keys that cosign made.
const password = "correct horse"

// mine and theirs are names of key pairs that cosign made.
const (
	mine   = "mine"
	theirs = "theirs"
)

// A proof is what vouches for the time of a signature, and the name of a folder
// of settings that asks for it.
type proof struct {
	name  string
	log   int // major version of the log's API, 0 for none
	stamp bool
}

var (
	none     = proof{name: "none"}
	logged   = proof{"log", 1, false}
	stamps   = proof{"timestamp", 0, true}
	both     = proof{"both", 2, true}
	loggedV1 = proof{"both-v1", 1, true}
	// undated has an entry in a log that, other than the older one, vouches for
	// no time.
	undated = proof{"log-v2", 2, false}
)

// dated reports whether somebody vouches for a log entry's time.
func (p proof) dated() bool { return p.log == 1 || p.log == 2 && p.stamp }

func TestMain(m *testing.M) {
	os.Exit(standtest.Main(m, func(shared *standtest.Shared) (err error) {
		if on, err = shared.Start(stand.Options{Only: []string{stand.Registry, stand.Sigstore, stand.Buildkitd}}); err != nil {
			return err
		}
		ctx := context.Background()
		if base, err = harness.Hack(ctx, on, "base", "busybox"); err != nil {
			return err
		}
		work = filepath.Join(shared.Dir, "work")
		if err := os.Mkdir(work, 0o755); err != nil {
			return err
		}
		for _, name := range []string{mine, theirs} {
			p := cosignCommand("generate-key-pair", "--output-key-prefix", filepath.Join(work, name)).Do(ctx)
			if p.Err != nil {
				return fmt.Errorf("%w: hack/tools --oracles builds it\n%s", p.Err, p.All)
			}
		}
		if err := os.WriteFile(keyFile("password"), []byte(password+"\n"), 0o600); err != nil {
			return err
		}
		return writeSettings()
	}))
}

// writeSettings writes the stand's signing config once for each proof, without
// the services that the proof does without.
func writeSettings() error {
	root, err := os.ReadFile(on.TrustedRoot())
	if err != nil {
		return err
	}
	for _, p := range []proof{logged, stamps, both, loggedV1, undated} {
		data, err := os.ReadFile(filepath.Join(on.Sigstore, "signing_config.json"))
		if err != nil {
			return err
		}
		var config map[string]any
		if err := json.Unmarshal(data, &config); err != nil {
			return err
		}
		switch p.log {
		case 0:
			delete(config, "rekorTlogUrls")
		case 1: // the stand has one, and does not tell of it
			log := config["rekorTlogUrls"].([]any)[0].(map[string]any)
			log["url"], log["majorApiVersion"] = strings.Replace(log["url"].(string), "rekor", "rekor-v1", 1), 1
		}
		if !p.stamp {
			delete(config, "tsaUrls")
		}
		delete(config, "caUrls") // a key has no need of them
		if data, err = json.Marshal(config); err != nil {
			return err
		}
		dir := filepath.Join(work, p.name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for name, content := range map[string][]byte{"signing_config.json": data, "trusted_root.json": root} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// cosignCommand is the program that hack/tools --oracles builds.
func cosignCommand(args ...string) harness.Command {
	path, err := filepath.Abs("../../.build/tools/cosign")
	if err != nil {
		panic(err) // no working directory
	}
	return harness.Command{On: on, Name: path, Args: args, Env: []string{"HOME=" + work, "COSIGN_PASSWORD=" + password}}
}

func keyFile(name string) string { return filepath.Join(work, name+".key") }
func pubFile(name string) string { return filepath.Join(work, name+".pub") }

// cosigned are the arguments of a build that is signed with one of cosign's
// keys.
func cosigned(name string) []string {
	return []string{"--secret", "id=plomb-key,src=" + keyFile(name), "--secret", "id=plomb-key-password,src=" + keyFile("password")}
}

// settings are the arguments of a build whose signature has that proof.
func (p proof) settings() []string {
	if p == none {
		return nil
	}
	return []string{"--build-context", "plomb=" + filepath.Join(work, p.name)}
}

const dockerfile = "FROM scratch\nCOPY greeting /\n"

// context writes a build context. ${BASE} is the base image.
func folder(t *testing.T, text string) string {
	t.Helper()
	text = os.Expand(text, func(string) string { return base })
	return harness.Folder(t, map[string]string{"Dockerfile": "# syntax=" + on.Frontend + "\n" + text, "greeting": "hello\n"})
}

// push builds, signs and pushes NAME:v1, and returns its reference.
func push(t *testing.T, name string, args ...string) string {
	t.Helper()
	ref := on.Registry + "/keyed/" + name + ":v1"
	p := harness.Command{On: on, Args: slices.Concat(harness.Push(ref), args, []string{folder(t, dockerfile)})}.Must(t)
	require.NotContains(t, p.All, "NOT signed")
	return ref
}

// plomb runs the command that users run, and demands an exit status.
func plomb(t *testing.T, status int, args ...string) harness.Printout {
	t.Helper()
	p := harness.Command{On: on, Name: "plomb", Args: args}.Run(t)
	require.Equal(t, status, p.Status, "plomb %q\n%s", args, p.All)
	return p
}
