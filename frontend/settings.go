// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"fmt"
	"slices"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/plombproject/plomb/provenance/sign"
)

const (
	// settingsContext is the named context that brings configuration files.
	settingsContext = "plomb"

	signingConfigFile = "signing_config.json"
	trustedRootFile   = "trusted_root.json"

	maxSettingsFile = 4 << 20 // bytes
)

// signingServices are those of the signing config in the named context plomb,
// or, if there is none, the public-good instance of Sigstore.
func signingServices(ctx context.Context, bc *dockerui.Client, c client.Client) (*sign.Services, error) {
	files, err := settingsFiles(ctx, bc, c, signingConfigFile, trustedRootFile)
	if err != nil {
		return nil, err
	}
	if files[signingConfigFile] != nil {
		return sign.LoadServices(files[signingConfigFile], files[trustedRootFile])
	}
	config, err := root.FetchSigningConfig()
	if err != nil {
		return nil, fmt.Errorf("%w: fetch the public Sigstore instance's: %w: pass your own with --build-context %s=DIR, where DIR has %s and %s",
			sign.ErrSigningConfig, err, settingsContext, signingConfigFile, trustedRootFile)
	}
	data, err := config.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return sign.LoadServices(data, files[trustedRootFile])
}

// settingsFiles reads the files that the named context has; one that it has
// not is missing from the result.
func settingsFiles(ctx context.Context, bc *dockerui.Client, c client.Client, names ...string) (map[string][]byte, error) {
	files := map[string][]byte{}
	nc, err := bc.NamedContext(settingsContext, dockerui.ContextOpt{
		NoDockerignore: true,
		// The folder may hold keys as well: ask the client for nothing else.
		AsyncLocalOpts: func() []llb.LocalOption { return []llb.LocalOption{llb.IncludePatterns(names)} },
	})
	if err != nil || nc == nil {
		return files, err
	}
	state, _, err := nc.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the build context %q: %w", settingsContext, err)
	}
	def, err := state.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	res, err := c.Solve(ctx, client.SolveRequest{Definition: def.ToPB()})
	if err != nil {
		return nil, fmt.Errorf("load the build context %q: %w", settingsContext, err)
	}
	ref, err := res.SingleRef()
	if err != nil || ref == nil {
		return files, err
	}
	entries, err := ref.ReadDir(ctx, client.ReadDirRequest{Path: "/"})
	if err != nil {
		return nil, fmt.Errorf("list the build context %q: %w", settingsContext, err)
	}
	for _, entry := range entries {
		if !slices.Contains(names, entry.Path) {
			continue
		}
		if entry.Size > maxSettingsFile {
			return nil, fmt.Errorf("build context %q: %s has %d bytes, more than the %d allowed", settingsContext, entry.Path, entry.Size, maxSettingsFile)
		}
		if files[entry.Path], err = ref.ReadFile(ctx, client.ReadRequest{Filename: entry.Path}); err != nil {
			return nil, fmt.Errorf("build context %q: read %s: %w", settingsContext, entry.Path, err)
		}
	}
	return files, nil
}
