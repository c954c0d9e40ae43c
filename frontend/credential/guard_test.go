// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/credential"
)

// ops are the operations of a RUN with the given mounts, as a Dockerfile makes them.
func ops(t *testing.T, opts ...llb.RunOption) []*pb.Op {
	def, err := llb.Image("base").Run(append(opts, llb.Shlex("steal"))...).Root().Marshal(t.Context(), llb.LinuxAmd64)
	require.NoError(t, err)
	var out []*pb.Op
	for _, dt := range def.Def {
		var op pb.Op
		require.NoError(t, proto.Unmarshal(dt, &op))
		out = append(out, &op)
	}
	return out
}

func guard(ops []*pb.Op) error {
	for _, op := range ops {
		if err := credential.Guard(op); err != nil {
			return err
		}
	}
	return nil
}

func TestGuardRefusesReservedSecrets(t *testing.T) {
	require.Len(t, credential.Reserved, 6)
	for _, id := range credential.Reserved {
		for name, opts := range map[string][]llb.RunOption{
			"file":                {llb.AddSecret("/run/secrets/x", llb.SecretID(id))},
			"file, optional":      {llb.AddSecret("/x", llb.SecretID(id), llb.SecretOptional)},
			"environment":         {llb.AddSecretWithDest(id, nil, llb.SecretAsEnv(true)), llb.AddSecret("TOKEN", llb.SecretID(id), llb.SecretAsEnv(true))},
			"both":                {llb.AddSecret("/x", llb.SecretID(id), llb.SecretFileOpt(0, 0, 0o444)), llb.AddSecret("T", llb.SecretID(id), llb.SecretAsEnv(true))},
			"behind another one":  {llb.AddSecret("/a", llb.SecretID("mine")), llb.AddSecret("/b", llb.SecretID(id))},
			"by its place alone":  {llb.AddSecret(id)},
			"in the second place": {llb.AddSecret("A", llb.SecretID("mine"), llb.SecretAsEnv(true)), llb.AddSecret("B", llb.SecretID(id), llb.SecretAsEnv(true))},
		} {
			t.Run(id+" as "+name, func(t *testing.T) {
				err := guard(ops(t, opts...))
				require.ErrorIs(t, err, credential.ErrStolen)
				require.ErrorContains(t, err, `"`+id+`"`)
				require.ErrorContains(t, err, "use another id")
			})
		}
	}
}

func TestGuardLetsOthersPass(t *testing.T) {
	require.NoError(t, guard(ops(t)))
	require.NoError(t, guard(ops(t,
		llb.AddSecret("/run/secrets/plomb-id-token", llb.SecretID("mine")),
		llb.AddSecret("plomb-key", llb.SecretID("MY_KEY"), llb.SecretAsEnv(true)),
		llb.AddSecret("/b", llb.SecretID("plomb-id-token2")), llb.AddSSHSocket(),
		llb.AddMount("/c", llb.Scratch(), llb.AsPersistentCacheDir("plomb-key", llb.CacheMountShared)))))
	require.NoError(t, credential.Guard(&pb.Op{}))
}

func TestMountedBy(t *testing.T) {
	var got []string
	for _, op := range ops(t, llb.AddSecret("/a", llb.SecretID("one")), llb.AddSecret("TWO", llb.SecretID("two"), llb.SecretAsEnv(true))) {
		got = append(got, credential.MountedBy(op)...)
	}
	require.ElementsMatch(t, []string{"one", "two"}, got)
}
