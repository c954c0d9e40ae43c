// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package notation has images signed by the Notary Project's own tool,
// notation, and asks plomb and notation about each of them.
//
// matrix_test.go is who signs (RSA, EC) × envelope (JWS, COSE) × with or
// without a timestamp × on a registry with the referrers API and on one
// without. verdict_test.go is the table of what is to pass and what is not,
// with the verdicts of both tools side by side. time_test.go is about
// timestamps, import_test.go about trust policies with several statements, and
// program_test.go about the other programs that see such signatures.
package notation

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

// on is the stand of all tests in this package. Its registry is distribution,
// which has no referrers API; withAPI is host:port of one that has it.
var (
	on      *stand.Stand
	withAPI string
)

func TestMain(m *testing.M) {
	os.Exit(standtest.Main(m, func(shared *standtest.Shared) error {
		var err error
		if on, err = shared.Start(stand.Options{Only: []string{stand.Registry, stand.Sigstore}}); err != nil {
			return err
		}
		dir := filepath.Join(shared.Dir, "referrers")
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		var stop func()
		if withAPI, stop, err = harness.Referrers(on, dir); err != nil {
			return err
		}
		shared.Cleanup(stop)
		stopStamps, err := serveStamps()
		if err != nil {
			return err
		}
		shared.Cleanup(stopStamps)
		return nil
	}))
}
