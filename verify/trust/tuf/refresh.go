// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/fetcher"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/plombproject/plomb/verify/trust"
)

// nowhere is a folder that nothing can be in. go-tuf reads its cache even where
// it is told to have none, from the working directory if nobody says where.
const nowhere = "/dev/null/tuf"

// refresh goes through the client workflow, and gives the target and the
// metadata that vouches for it. Verified metadata is read from, and kept in,
// the folder cache; with an empty one in memory only.
func refresh(root []byte, source trust.Source, cache string, fetch fetcher.Fetcher, now time.Time) ([]byte, trustedmetadata.TrustedMetadata, error) {
	var none trustedmetadata.TrustedMetadata
	cfg, err := config.New(source.Mirror, root)
	if err != nil {
		return nil, none, fmt.Errorf("%w: %w", ErrRepository, err)
	}
	cfg.Fetcher = fetch
	cfg.RemoteTargetsURL = strings.TrimSuffix(source.Mirror, "/") + "/" + source.Targets
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = cache, filepath.Join(cache, "targets")
	if cfg.DisableLocalCache = cache == ""; cfg.DisableLocalCache {
		cfg.LocalMetadataDir, cfg.LocalTargetsDir = nowhere, nowhere
	}
	u, err := updater.New(cfg)
	if err != nil {
		return nil, none, fmt.Errorf("root.json: %w", classify(err))
	}
	// The name warns of tests; the clock is that of our caller.
	u.UnsafeSetRefTime(now.UTC())
	if err := u.Refresh(); err != nil {
		return nil, none, classify(err)
	}
	info, err := u.GetTargetInfo(source.Target)
	if err != nil {
		return nil, none, fmt.Errorf("target %s: %w", source.Target, classify(err))
	}
	if info.Length < 0 || info.Length > trust.MaxRoot {
		return nil, none, fmt.Errorf("%w: target %s has %d bytes, more than %d", ErrRepository, source.Target, info.Length, trust.MaxRoot)
	}
	_, data, err := u.DownloadTarget(info, filepath.Join(cfg.LocalTargetsDir, "target"), "")
	if err != nil {
		return nil, none, fmt.Errorf("target %s: %w", source.Target, classify(err))
	}
	return data, u.GetTrustedMetadataSet(), nil
}

// classify names the refusal. go-tuf's types nest: all are faults of the
// repository, so that the narrower ones come first.
func classify(err error) error {
	for _, c := range []struct {
		is   error
		name error
	}{
		{ErrMirror, nil},
		{&metadata.ErrExpiredMetadata{}, ErrExpired},
		{&metadata.ErrBadVersionNumber{}, ErrRollback},
		{&metadata.ErrUnsignedMetadata{}, ErrUnsigned},
		{&metadata.ErrDownload{}, ErrMirror},
	} {
		if !errors.Is(err, c.is) {
			continue
		}
		if c.name == nil {
			return err
		}
		return fmt.Errorf("%w: %w", c.name, err)
	}
	return fmt.Errorf("%w: %w", ErrRepository, err)
}
