// SPDX-License-Identifier: Apache-2.0

package nodebench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/plombproject/plomb/integration/harness"
)

// prepare builds the program that only exits, and signed images.
func (b *bench) prepare(ctx context.Context) error {
	work := filepath.Join(b.Dir, "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	b.exits = filepath.Join(work, "exits")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", b.exits, "./integration/nodebench/testdata/allow")
	cmd.Dir, cmd.Env = b.Root, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	token, err := harness.Hack(ctx, b.stand, "token", "--lifetime", "1h")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "token"), []byte(token), 0o600); err != nil {
		return err
	}
	dockerfile := "# syntax=" + b.stand.Frontend + "\nFROM scratch\nCOPY greeting /\n"
	if err := os.WriteFile(filepath.Join(work, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		return err
	}
	b.say("building and signing %d images", b.Images)
	for i := range b.Images {
		if err := b.sealed(ctx, work, i); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) sealed(ctx context.Context, work string, i int) error {
	name := fmt.Sprintf("%s/bench/app-%d:v1", b.stand.Registry, i)
	if err := os.WriteFile(filepath.Join(work, "greeting"), []byte(name), 0o600); err != nil {
		return err
	}
	args := append(append(harness.Push(name), harness.SignedWith(b.stand, filepath.Join(work, "token"))...), work)
	if p := (harness.Command{On: b.stand, Args: args}).Do(ctx); p.Err != nil {
		return fmt.Errorf("%w\n%s", p.Err, p.All)
	}
	b.images = append(b.images, name)
	return nil
}

// use gives containerd a verifier. containerd looks into the folder at each
// pull, and plomb-verifier for the socket at each call.
func (b *bench) use(verifier string) error {
	folder, socket := b.stand.Verifiers(), b.stand.AgentSocket()
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(folder, e.Name())); err != nil {
			return err
		}
	}
	// Found again under its name, unless the agent was started meanwhile.
	aside := socket + ".aside"
	if verifier == StandAlone {
		if err := os.Rename(socket, aside); err != nil {
			return err
		}
	} else if _, err := os.Lstat(aside); err == nil {
		if err := os.Rename(aside, socket); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch verifier {
	case None:
		return nil
	case Exits:
		return os.Link(b.exits, filepath.Join(folder, "verifier"))
	}
	return os.Symlink(filepath.Join(b.stand.Bin, "plomb-verifier"), filepath.Join(folder, "verifier"))
}
