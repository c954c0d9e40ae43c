// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package private has registries that let nobody in without the right
// credentials: with passwords, with TLS of a private authority, with client
// certificates, with tokens, behind a mirror. A signed image in each is
// admitted by plomb-verifier, an unsigned one refused, and a wrong secret is a
// reason that says so; no secret is ever to be seen.
//
// All registries are distribution, over one folder, so one push fills them.
package private

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

// on is the stand of all tests in this package; work is a folder for what they
// have in common.
var (
	on   *stand.Stand
	work string
)

func TestMain(m *testing.M) {
	os.Exit(standtest.Main(m, func(shared *standtest.Shared) error {
		work = filepath.Join(shared.Dir, "work")
		if err := os.Mkdir(work, 0o755); err != nil {
			return err
		}
		var err error
		on, err = shared.Start(stand.Options{Only: []string{stand.Registry, stand.Containerd}})
		return err
	}))
}
