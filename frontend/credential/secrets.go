// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"

	"github.com/plombproject/plomb/internal/strictjson"
)

// Command is the helper's sub-command in the frontend's binary.
const Command = "secrets"

const (
	secretsDir = "/run/secrets"
	maxSecret  = 1 << 20 // bytes of one secret
	maxOutput  = 8 << 20 // bytes of all of them together, encoded
)

// BuildSecrets reads secrets through a container of the frontend's image.
type BuildSecrets struct {
	Client client.Client
	Image  llb.State
	Binary string
}

// Read implements Reader.
func (b BuildSecrets) Read(ctx context.Context, ids ...string) (*Given, error) {
	got := &Given{}
	if err := b.run(ctx, ids, append([]string{Command}, ids...), got); err != nil {
		return nil, err
	}
	return got, nil
}

// run has a helper with the secrets, and without a network, print its answer.
func (b BuildSecrets) run(ctx context.Context, ids, args []string, answer any) error {
	def, err := b.Image.Marshal(ctx)
	if err != nil {
		return err
	}
	res, err := b.Client.Solve(ctx, client.SolveRequest{Definition: def.ToPB()})
	if err != nil {
		return err
	}
	mounts := []client.Mount{{Dest: "/", Ref: res.Ref, MountType: pb.MountType_BIND}}
	for _, id := range ids {
		mounts = append(mounts, client.Mount{
			Dest:      path.Join(secretsDir, id),
			MountType: pb.MountType_SECRET,
			SecretOpt: &pb.SecretOpt{ID: id, Mode: 0o400, Optional: true},
		})
	}
	ctr, err := b.Client.NewContainer(ctx, client.NewContainerRequest{Mounts: mounts, NetMode: pb.NetMode_NONE})
	if err != nil {
		return err
	}
	defer ctr.Release(context.WithoutCancel(ctx))
	out := &limitedBuffer{left: maxOutput}
	proc, err := ctr.Start(ctx, client.StartRequest{
		Args: append([]string{b.Binary}, args...), Cwd: "/", Stdout: out, Stderr: discard{}})
	if err != nil {
		return err
	}
	if err := proc.Wait(); err != nil {
		return err
	}
	if err := strictjson.Unmarshal(out.data, answer); err != nil {
		// Not err itself: it may quote a piece of a secret.
		return errors.New("the helper's answer is not what it should be")
	}
	return nil
}

// Main is the helper: it prints what is given of the secrets named in args, as
// the JSON of a Given.
func Main(args []string, stdout io.Writer) error {
	return printSecrets(secretsDir, args, stdout)
}

func printSecrets(dir string, ids []string, stdout io.Writer) error {
	got := Given{Tokens: map[string]string{}}
	for _, id := range ids {
		if slices.Contains(keys, id) {
			continue // told of below, and never printed
		}
		value, err := readSecret(dir, id, maxSecret)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		got.Tokens[id] = string(value)
	}
	if slices.Contains(ids, Key) {
		got.Key = describeKey(dir)
	}
	return json.NewEncoder(stdout).Encode(got)
}

// readSecret reads a secret of at most limit bytes into one buffer, so that
// whoever zeroes that leaves no other copy behind.
func readSecret(dir, id string, limit int) ([]byte, error) {
	f, err := os.Open(path.Join(dir, path.Base(id)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	buf := make([]byte, limit+1)
	n, err := io.ReadFull(f, buf)
	switch {
	case err == nil:
		return nil, fmt.Errorf("secret %s is larger than %d bytes", id, limit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return buf[:n], nil
	}
	return nil, err
}

// A limitedBuffer embeds nothing: bytes.Buffer has other ways to write, which
// would go past the limit.
type limitedBuffer struct {
	data []byte
	left int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("too much output")
	}
	b.data = append(b.data, p...)
	return len(p), nil
}

func (b *limitedBuffer) Close() error { return nil }

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }
