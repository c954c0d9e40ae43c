// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/settings"
)

func TestLent(t *testing.T) {
	chain := New(settings.Credentials{})
	ask := func(image, host string) string {
		user, _, err := chain.For(t.Context(), image)(host)
		require.NoError(t, err)
		return user
	}
	const image = "registry.example/team/app:v1"
	giveBack, err := chain.Lent.Lend(t.Context(), image, "", "ann", "hunter2")
	require.NoError(t, err)
	require.Equal(t, "ann", ask(image, "registry.example"))
	// Neither for another image, nor to another host: a mirror, or where the
	// registry redirects to.
	require.Empty(t, ask("registry.example/team/app:v2", "registry.example"))
	require.Empty(t, ask(image, "mirror.example"))
	require.Empty(t, ask(image, "registry.example:5000"))
	require.Empty(t, ask("evil.example/registry.example/team/app:v1", "evil.example"))
	giveBack()
	giveBack()
	require.Empty(t, ask(image, "registry.example"), "for the length of one pull")
	require.Zero(t, chain.Lent.Count())

	// As kubelet writes names, and as containerd hands them to a verifier.
	giveBack, err = chain.Lent.Lend(t.Context(), "alpine", "", "ann", "hunter2")
	require.NoError(t, err)
	require.Equal(t, "ann", ask("docker.io/library/alpine:latest", "registry-1.docker.io"))
	giveBack()

	// containerd drops the tag of a name that has a digest as well.
	const dgst = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	giveBack, err = chain.Lent.Lend(t.Context(), image+dgst, "", "ann", "hunter2")
	require.NoError(t, err)
	require.Equal(t, "ann", ask("registry.example/team/app"+dgst, "registry.example"))
	giveBack()

	// kubelet may say for which host.
	giveBack, err = chain.Lent.Lend(t.Context(), image, "mirror.example", "ann", "hunter2")
	require.NoError(t, err)
	require.Empty(t, ask(image, "registry.example"))
	require.Equal(t, "ann", ask(image, "mirror.example"))
	giveBack()

	_, err = chain.Lent.Lend(t.Context(), "NOT A NAME", "", "ann", "hunter2")
	require.ErrorIs(t, err, ErrLend)
}

// TestLentToSeveral: the same secret is shared, another one waits for its turn.
func TestLentToSeveral(t *testing.T) {
	chain := New(settings.Credentials{})
	const image = "registry.example/app:v1"
	ask := func() string {
		user, _, err := chain.For(t.Context(), image)("registry.example")
		require.NoError(t, err)
		return user
	}
	first, err := chain.Lent.Lend(t.Context(), image, "", "ann", "a")
	require.NoError(t, err)
	second, err := chain.Lent.Lend(t.Context(), image, "registry.example", "ann", "a")
	require.NoError(t, err)
	first()
	require.Equal(t, "ann", ask(), "the second still pulls")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = chain.Lent.Lend(ctx, image, "", "ann", "another password")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, ErrLend)
	require.NotContains(t, err.Error(), "password")

	turn := make(chan func())
	go func() {
		giveBack, err := chain.Lent.Lend(context.WithoutCancel(t.Context()), image, "", "bob", "b")
		if err != nil {
			giveBack = func() {}
		}
		turn <- giveBack
	}()
	second()
	third := <-turn
	require.Equal(t, "bob", ask())
	third()
	require.Empty(t, ask())
}

// TestLentInParallel: nobody ever sees another's secret while they pull.
func TestLentInParallel(t *testing.T) {
	chain := New(settings.Credentials{})
	errs := make(chan error, 200)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			image, tenant := fmt.Sprintf("registry.example/app%d:v1", i%3), fmt.Sprint("tenant", i%7)
			giveBack, err := chain.Lent.Lend(t.Context(), image, "", tenant, "x")
			if err != nil {
				errs <- err
				return
			}
			defer giveBack()
			got, _, err := chain.For(t.Context(), image)("registry.example")
			if err != nil || got != tenant {
				errs <- errors.Join(err, fmt.Errorf("%s got the secret of %s", tenant, got))
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.Zero(t, chain.Lent.Count())
}

func TestSecretsDoNotPrint(t *testing.T) {
	s := secret{"ann", "hunter2"}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, []secret{s}), "hunter2")
}
