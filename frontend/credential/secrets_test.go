// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/stretchr/testify/require"
)

func TestPrintSecrets(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o400))
	}
	write(IDToken, "line\n\"<&>é")
	write(GitHubToken, "")
	write("unasked", "x")

	var out bytes.Buffer
	require.NoError(t, printSecrets(dir, []string{IDToken, GitHubTokenURL, GitHubToken}, &out))
	require.JSONEq(t, `{"tokens":{"plomb-id-token":"line\n\"<&>é","plomb-github-token":""}}`, out.String(), "only what is there and was asked for")

	out.Reset()
	require.NoError(t, printSecrets(filepath.Join(dir, "absent"), Reserved, &out))
	require.JSONEq(t, `{}`, out.String())

	// An id is a name in the folder, never a way out of it.
	write("../outside", "s3cr3t")
	out.Reset()
	require.NoError(t, printSecrets(dir, []string{"../outside"}, &out))
	require.JSONEq(t, `{}`, out.String())

	write(IDToken+"-big", strings.Repeat("s", maxSecret+1))
	err := printSecrets(dir, []string{IDToken + "-big"}, &out)
	require.ErrorContains(t, err, "plomb-id-token-big is larger than")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	require.Error(t, printSecrets(dir, []string{"folder"}, &out))
}

// A gateway runs the helper's answer in place of a container.
type gateway struct {
	client.Client
	answer   string
	exit     error
	solveErr error

	mounts   []client.Mount
	net      pb.NetMode
	started  client.StartRequest
	released bool
}

func (g *gateway) Solve(context.Context, client.SolveRequest) (*client.Result, error) {
	res := client.NewResult()
	res.SetRef(nil)
	return res, g.solveErr
}

func (g *gateway) NewContainer(_ context.Context, req client.NewContainerRequest) (client.Container, error) {
	g.mounts, g.net = req.Mounts, req.NetMode
	return container{g: g}, nil
}

type container struct {
	client.Container
	g *gateway
}

func (c container) Start(_ context.Context, req client.StartRequest) (client.ContainerProcess, error) {
	c.g.started = req
	return process{g: c.g, stdout: req.Stdout}, nil
}

func (c container) Release(context.Context) error {
	c.g.released = true
	return nil
}

type process struct {
	client.ContainerProcess
	g      *gateway
	stdout io.Writer
}

func (p process) Wait() error {
	if _, err := io.Copy(p.stdout, strings.NewReader(p.g.answer)); err != nil {
		return err
	}
	return p.g.exit
}

func TestBuildSecretsRead(t *testing.T) {
	g := &gateway{answer: `{"tokens":{"plomb-id-token":"JWT"}}`}
	got, err := BuildSecrets{Client: g, Image: llb.Image("plomb"), Binary: "/plomb-frontend"}.Read(t.Context(), Key, IDToken)
	require.NoError(t, err)
	require.Equal(t, &Given{Tokens: map[string]string{IDToken: "JWT"}}, got)

	require.Equal(t, []string{"/plomb-frontend", "secrets", Key, IDToken}, g.started.Args)
	require.Equal(t, pb.NetMode_NONE, g.net)
	require.True(t, g.released)
	require.Len(t, g.mounts, 3)
	require.Equal(t, "/", g.mounts[0].Dest)
	for i, id := range []string{Key, IDToken} {
		m := g.mounts[i+1]
		require.Equal(t, "/run/secrets/"+id, m.Dest)
		require.Equal(t, pb.MountType_SECRET, m.MountType)
		require.Equal(t, &pb.SecretOpt{ID: id, Mode: 0o400, Optional: true}, m.SecretOpt)
	}
}

func TestBuildSecretsReadFails(t *testing.T) {
	for name, g := range map[string]*gateway{
		"not JSON":          {answer: `s3cr3t`},
		"another shape":     {answer: `{"tokens":{"plomb-id-token":{"s3cr3t":1}}}`},
		"twice":             {answer: `{"tokens":{"a":"s3cr3t","a":"s3cr3t"}}`},
		"nothing":           {},
		"too much":          {answer: `{"tokens":{"plomb-id-token":"` + strings.Repeat("s3cr3t", maxOutput/6) + `"}}`},
		"the helper fails":  {answer: `{"tokens":{"plomb-id-token":"s3cr3t"}}`, exit: errors.New("exit code 1")},
		"the image is gone": {solveErr: errors.New("no such image")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := BuildSecrets{Client: g, Image: llb.Image("plomb")}.Read(t.Context(), Key)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "s3cr3t")
			require.Nil(t, got)
			require.Equal(t, g.solveErr == nil, g.released)
		})
	}
}
