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
func (b BuildSecrets) Read(ctx context.Context, ids ...string) (map[string]string, error) {
	def, err := b.Image.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	res, err := b.Client.Solve(ctx, client.SolveRequest{Definition: def.ToPB()})
	if err != nil {
		return nil, err
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
		return nil, err
	}
	defer ctr.Release(context.WithoutCancel(ctx))
	out := &limitedBuffer{left: maxOutput}
	proc, err := ctr.Start(ctx, client.StartRequest{
		Args: append([]string{b.Binary, Command}, ids...), Cwd: "/", Stdout: out, Stderr: discard{}})
	if err != nil {
		return nil, err
	}
	if err := proc.Wait(); err != nil {
		return nil, err
	}
	got := map[string]string{}
	if err := strictjson.Unmarshal(out.data, &got); err != nil {
		// Not err itself: it may quote a piece of a secret.
		return nil, errors.New("the helper's answer is not what it should be")
	}
	return got, nil
}

// Main is the helper: it prints those of the secrets named in args that are
// mounted, as one JSON object.
func Main(args []string, stdout io.Writer) error {
	return printSecrets(secretsDir, args, stdout)
}

func printSecrets(dir string, ids []string, stdout io.Writer) error {
	got := map[string]string{}
	for _, id := range ids {
		f, err := os.Open(path.Join(dir, path.Base(id)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		value, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
		f.Close()
		if err != nil {
			return err
		}
		if len(value) > maxSecret {
			return fmt.Errorf("secret %s is larger than %d bytes", id, maxSecret)
		}
		got[id] = string(value)
	}
	return json.NewEncoder(stdout).Encode(got)
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
