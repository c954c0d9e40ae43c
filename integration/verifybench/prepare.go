// SPDX-License-Identifier: Apache-2.0

package verifybench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/tamper"
)

// The identity that hack/token gives.
const (
	issuer   = "https://token.actions.githubusercontent.com"
	identity = "https://github.com/plombproject/demo/.github/workflows/release.yml@refs/heads/main"
)

// A kind of image differs from others in who signed it and where that lies.
type kind struct {
	name string
	ref  string // host/name@digest
	// policy is a file for plomb that admits it.
	policy string
	// against is the other program that verifies it, if any.
	against string
}

// Kinds of images.
const (
	byPlomb        = "signed by plomb"
	byCosign       = "cosign, referrers API"
	byCosignTagged = "cosign, fallback tag"
	byCosignLegacy = "cosign, old form"
	byNotation     = "notation, referrers API"
)

// start brings the daemons up and signs the images. The returned function stops
// the daemons.
func (b *bench) start(ctx context.Context) (func() error, error) {
	s, err := stand.Start(ctx, stand.Options{
		Dir: filepath.Join(b.Dir, "stand"), Root: b.Root, Bin: b.Bin, Log: b.Log,
		Only: []string{stand.Buildkitd, stand.Sigstore, stand.Registry},
	})
	if err != nil {
		return nil, err
	}
	b.stand = s
	stop := func() {}
	end := func() error {
		stop()
		// Even where ctx was cancelled by a signal.
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return s.Remove(stopCtx)
	}
	withAPI := ""
	if err = os.MkdirAll(b.work, 0o755); err == nil {
		withAPI, stop, err = harness.Referrers(s, b.work)
	}
	if err == nil {
		err = b.prepare(ctx, withAPI)
	}
	if err != nil {
		_ = end()
		return nil, err
	}
	return end, nil
}

// prepare builds and signs an image of each kind. withAPI is host:port of a
// registry with the referrers API; that of the stand has none.
func (b *bench) prepare(ctx context.Context, withAPI string) error {
	for name, text := range map[string]string{"keyless.yaml": keylessPolicy, "Dockerfile": "FROM scratch\nCOPY greeting /\n", "greeting": "hello\n",
		"Dockerfile.plomb": "# syntax=" + b.stand.Frontend + "\nFROM scratch\nCOPY greeting /\n"} {
		if err := b.write(name, text); err != nil {
			return err
		}
	}
	token, err := harness.Hack(ctx, b.stand, "token", "--lifetime", "1h")
	if err != nil {
		return err
	}
	if err := b.write("token", token); err != nil {
		return err
	}
	for _, k := range []struct {
		kind
		host string
		make func(ctx context.Context, name string) (string, error)
	}{
		{kind{name: byPlomb}, b.stand.Registry, b.sealed},
		{kind{name: byCosign, against: cosign}, withAPI, b.cosigned(b.cosignBundle)},
		{kind{name: byCosignTagged, against: cosign}, b.stand.Registry, b.cosigned(b.cosignBundle)},
		{kind{name: byCosignLegacy, against: cosign}, b.stand.Registry, b.cosigned(b.cosignOldForm)},
		{kind{name: byNotation, against: notation}, withAPI, b.notarized},
	} {
		if k.against == notation && !b.hasNotation() {
			b.say("%s is not there: images of notation are left out", b.Notation)
			continue
		}
		if k.policy = b.path("keyless.yaml"); k.against == notation {
			k.policy = b.path("notation.yaml")
		}
		b.say("making an image: %s", k.name)
		if k.ref, err = k.make(ctx, k.host+"/bench/"+repository(k.name)+":v1"); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		b.kinds = append(b.kinds, k.kind)
	}
	return nil
}

// repository is the name of a kind as part of a repository's.
func repository(name string) string {
	return strings.NewReplacer(",", "", " ", "-").Replace(strings.ToLower(name))
}

func (b *bench) path(name string) string { return filepath.Join(b.work, name) }

func (b *bench) write(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(b.path(name)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(b.path(name), []byte(text), 0o600)
}

const keylessPolicy = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: bench
spec:
  images:
  - glob: "**"
  authorities:
  - name: release
    keyless:
      identities:
      - issuer: ` + issuer + `
        subject: ` + identity + `
`

// sealed has plomb build and sign an image, with SBOM and provenance as it does
// if not told otherwise.
func (b *bench) sealed(ctx context.Context, name string) (string, error) {
	return b.build(ctx, name, "Dockerfile.plomb", harness.SignedWith(b.stand, b.path("token"))...)
}

// plain has BuildKit's own frontend build the image that others sign.
func (b *bench) plain(ctx context.Context, name string) (string, error) {
	return b.build(ctx, name, "Dockerfile", "--attest", "type=provenance,mode=min")
}

// build returns the reference of what it built, with its digest.
func (b *bench) build(ctx context.Context, name, dockerfile string, args ...string) (string, error) {
	args = append(append(harness.Push(name), "-f", b.path(dockerfile)), args...)
	if p := (harness.Command{On: b.stand, Args: append(args, b.work)}).Do(ctx); p.Err != nil {
		return "", fmt.Errorf("%w\n%s", p.Err, p.All)
	}
	repo, tag, err := tamper.Parse(name)
	if err != nil {
		return "", err
	}
	data, err := repo.Manifest(ctx, tag)
	if err != nil {
		return "", err
	}
	return repo.Host + "/" + repo.Name + "@" + digest.FromBytes(data).String(), nil
}
