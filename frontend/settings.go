// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/sigstore/sigstore-go/pkg/root"
	fstypes "github.com/tonistiigi/fsutil/types"

	"github.com/plombproject/plomb/provenance/sign"
)

const (
	// settingsContext is the named context that brings configuration files.
	settingsContext = "plomb"

	signingConfigFile = "signing_config.json"
	trustedRootFile   = "trusted_root.json"
	policyDir         = "policy"

	maxSettingsFile = 4 << 20 // bytes
	maxPolicyFiles  = 1000
)

// settings are the configuration files of a build. What the named context does
// not have is nil.
type settings struct {
	signingConfig []byte
	trustedRoot   []byte
	policy        map[string][]byte // by file name
}

// services are those of the signing config, or, if there is none, the
// public-good instance of Sigstore.
func (s settings) services() (*sign.Services, error) {
	if s.signingConfig != nil {
		return sign.LoadServices(s.signingConfig, s.trustedRoot)
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
	return sign.LoadServices(data, s.trustedRoot)
}

// keyServices are those of the signing config, or, if there is none, none: a
// key needs nobody to vouch for it, and nobody hears of the build.
func (s settings) keyServices() (*sign.Services, error) {
	if s.signingConfig == nil {
		return sign.NoServices(), nil
	}
	return sign.LoadServices(s.signingConfig, s.trustedRoot)
}

// readSettings reads the named context plomb, if the client gave one.
func readSettings(ctx context.Context, ui *dockerui.Client, c client.Client) (*settings, error) {
	s := &settings{}
	wanted := []string{signingConfigFile, trustedRootFile, policyDir}
	nc, err := ui.NamedContext(settingsContext, dockerui.ContextOpt{
		NoDockerignore: true,
		// The folder may hold keys as well: ask the client for nothing else.
		AsyncLocalOpts: func() []llb.LocalOption { return []llb.LocalOption{llb.IncludePatterns(wanted)} },
	})
	if err != nil || nc == nil {
		return s, err
	}
	ref, err := solveContext(ctx, nc, c)
	if err == nil && ref != nil {
		err = s.read(ctx, ref)
	}
	if err != nil {
		return nil, fmt.Errorf("build context %q: %w", settingsContext, err)
	}
	return s, nil
}

func solveContext(ctx context.Context, nc *dockerui.NamedContext, c client.Client) (client.Reference, error) {
	state, _, err := nc.Load(ctx)
	if err != nil {
		return nil, err
	}
	def, err := state.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	for dgst, op := range def.Metadata {
		op.Description = maps.Clone(op.Description)
		if op.Description == nil {
			op.Description = map[string]string{}
		}
		op.Description["llb.customname"] = "[plomb] load settings"
		def.Metadata[dgst] = op
	}
	res, err := c.Solve(ctx, client.SolveRequest{Definition: def.ToPB()})
	if err != nil {
		return nil, err
	}
	return res.SingleRef()
}

func (s *settings) read(ctx context.Context, ref client.Reference) error {
	entries, err := ref.ReadDir(ctx, client.ReadDirRequest{Path: "/"})
	if err != nil {
		return err
	}
	for _, entry := range entries {
		switch entry.Path {
		case signingConfigFile:
			s.signingConfig, err = readSetting(ctx, ref, entry, "")
		case trustedRootFile:
			s.trustedRoot, err = readSetting(ctx, ref, entry, "")
		case policyDir:
			s.policy, err = readPolicy(ctx, ref)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readPolicy(ctx context.Context, ref client.Reference) (map[string][]byte, error) {
	entries, err := ref.ReadDir(ctx, client.ReadDirRequest{Path: policyDir})
	if err != nil {
		return nil, err
	}
	if len(entries) > maxPolicyFiles {
		return nil, fmt.Errorf("%s has %d files, more than the %d allowed", policyDir, len(entries), maxPolicyFiles)
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		if !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(entry.Path)) {
			continue
		}
		if files[entry.Path], err = readSetting(ctx, ref, entry, policyDir); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func readSetting(ctx context.Context, ref client.Reference, entry *fstypes.Stat, dir string) ([]byte, error) {
	name := path.Join(dir, entry.Path)
	if entry.Size > maxSettingsFile {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d allowed", name, entry.Size, maxSettingsFile)
	}
	data, err := ref.ReadFile(ctx, client.ReadRequest{Filename: name})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}
