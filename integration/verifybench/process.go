// SPDX-License-Identifier: Apache-2.0

package verifybench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Programs.
const (
	verifier = "plomb-verifier"
	plomb    = "plomb verify"
	cosign   = "cosign verify"
	notation = "notation verify"
)

// A program verifies an image by its reference with a digest.
type program struct {
	name    string
	command func(ref string) command
}

// A command is a process to be.
type command struct {
	path  string
	args  []string
	env   []string // over the stand's
	stdin []byte
}

// A sample is one process from its start to its end.
type sample struct {
	wall time.Duration
	cpu  time.Duration // in user and kernel mode
}

// programs are those that can verify a kind of image.
func (b *bench) programs(k kind) []program {
	list := []program{
		{verifier, func(ref string) command { return b.verifierCommand(k, ref) }},
		{plomb, func(ref string) command { return b.plombCommand(k, ref) }},
	}
	switch k.against {
	case cosign:
		list = append(list, program{cosign, b.cosignVerify})
	case notation:
		list = append(list, program{notation, b.notationVerify})
	}
	return list
}

// verifierCommand is how containerd calls plomb-verifier.
func (b *bench) verifierCommand(k kind, ref string) command {
	_, dgst, _ := strings.Cut(ref, "@")
	desc, err := json.Marshal(ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.Digest(dgst), Size: 1})
	if err != nil {
		panic(err) // three plain fields
	}
	return command{
		path: filepath.Join(b.stand.Bin, "plomb-verifier"),
		args: []string{"-name", ref, "-digest", dgst, "-stdin-media-type", ocispec.MediaTypeDescriptor},
		env: []string{
			"PLOMB_POLICY=" + k.policy, "PLOMB_TRUSTED_ROOT=" + b.stand.TrustedRoot(),
			"PLOMB_NOTATION=" + b.notationFolder(),
		},
		stdin: desc,
	}
}

// plombCommand verifies and nothing else: the list of attestations, which plomb
// verify gives by default, is not part of the verdict.
func (b *bench) plombCommand(k kind, ref string) command {
	return command{
		path: filepath.Join(b.stand.Bin, "plomb"),
		args: []string{
			"verify", "--output", "json", "--attestations=false", "--policy", k.policy,
			"--trusted-root", b.stand.TrustedRoot(), "--notation-dir", b.notationFolder(), ref,
		},
	}
}

// cosignVerify makes no request but those to the registry either.
func (b *bench) cosignVerify(ref string) command {
	return command{
		path: b.Cosign, env: b.cosignEnv(),
		args: []string{
			"verify", "--trusted-root", b.stand.TrustedRoot(), "--allow-http-registry", "--offline",
			"--certificate-identity", identity, "--certificate-oidc-issuer", issuer, ref,
		},
	}
}

// time runs a command.
func (b *bench) time(ctx context.Context, c command) (sample, error) {
	_, s, err := b.do(ctx, c)
	return s, err
}

// do runs a command and returns what it wrote.
func (b *bench) do(ctx context.Context, c command) (string, sample, error) {
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Env = append(b.environ(), c.env...)
	cmd.Dir, cmd.Stdin = b.work, bytes.NewReader(c.stdin)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	began := time.Now()
	err := cmd.Run()
	s := sample{wall: time.Since(began)}
	if err != nil {
		return "", s, fmt.Errorf("%s %s: %w\n%s%s", c.path, strings.Join(c.args, " "), err, out.String(), log.String())
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return out.String(), s, nil
}
