// SPDX-License-Identifier: Apache-2.0

//go:build integration

package daemons

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/provenance"
)

// The demo application installs Debian packages, a minute on each daemon: by
// default on two that share nothing, neither version nor snapshotter, and with
// PLOMB_GUESTBOOK=all on every one.
func TestGuestbookOnEveryDaemon(t *testing.T) {
	list := every(t)
	if os.Getenv("PLOMB_GUESTBOOK") != "all" {
		list = []daemon{list[0], list[3]}
		require.NotEqual(t, list[0].version, list[1].version)
		require.NotEqual(t, list[0].options.Snapshotter, list[1].options.Snapshotter)
	}
	b := build{signed: true, files: map[string]string{}, args: []string{"--build-arg", "BASE=" + harness.Base(t, shared, "debian")}}
	const app = "../../docs/examples/guestbook"
	dockerfile, err := os.ReadFile(filepath.Join(app, "Dockerfile"))
	require.NoError(t, err)
	_, b.dockerfile, _ = strings.Cut(string(dockerfile), "\n") // build has a syntax line of its own
	require.NoError(t, filepath.WalkDir(filepath.Join(app, "app"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, relErr := filepath.Rel(app, path)
		require.NoError(t, relErr)
		b.files[name] = string(data)
		return err
	}))

	var want pushed
	for _, d := range list {
		t.Run(d.name, func(t *testing.T) {
			b := b
			b.on, b.tag = d.start(t), "guestbook-"+d.name
			got, _ := b.must(t)
			if want.ref == "" {
				want = got
			}
			require.Equal(t, want.Layers(), got.Layers())
			require.Equal(t, want.ManifestDigest, got.ManifestDigest)
			require.Equal(t, []string{got.ID().Encoded()}, got.Bundle.Subjects(provenance.SubjectImageID))
			out, err := harness.Output(t, shared, "plomb", "verify", got.ref)
			require.NoError(t, err, out)
		})
	}
}
