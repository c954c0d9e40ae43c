// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// sigstore is the local Sigstore of hack/sigstore. It keeps its keys in the
// stand's folder, so a restart does not invalidate what was signed before.
func (s *Stand) sigstore() daemon {
	ready := s.layout.path("run", "sigstore.ready")
	healthy := probeHTTP("http://" + s.sigstoreAddr + "/healthz")
	return daemon{
		name:    Sigstore,
		program: s.program("sigstore"),
		args:    []string{"serve", "--dir", s.Sigstore, "--listen", s.sigstoreAddr, "--ready-file", ready},
		grace:   5 * time.Second,
		prepare: func() error {
			// A ready file of an earlier run would speak for this one.
			if err := os.RemoveAll(ready); err != nil {
				return err
			}
			return os.MkdirAll(s.Sigstore, 0o755)
		},
		probe: func(ctx context.Context) error {
			if _, err := os.Stat(ready); err != nil {
				return err
			}
			for _, name := range []string{"trusted_root.json", "signing_config.json"} {
				if _, err := os.Stat(filepath.Join(s.Sigstore, name)); err != nil {
					return fmt.Errorf("sigstore is ready without %s: %w", name, err)
				}
			}
			return healthy(ctx)
		},
	}
}
