// SPDX-License-Identifier: Apache-2.0

// Command plomb-frontend is the only program in plomb's frontend image. BuildKit
// starts it without arguments, as the frontend; the frontend starts it again in
// build containers, as one of its helpers.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/moby/buildkit/frontend/gateway/grpcclient"

	"github.com/plombproject/plomb/frontend"
	"github.com/plombproject/plomb/frontend/basesbom"
	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/frontend/catalog/document"
	"github.com/plombproject/plomb/frontend/credential"
	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/frontend/seal"
)

// version is set by the linker.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "plomb-frontend:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		f := frontend.Frontend{
			Version: version, Now: time.Now, HTTP: http.DefaultClient,
			Bases: newBaseChecker, Images: registry{},
		}
		return grpcclient.RunFromEnvironment(ctx, f.Build)
	}
	switch args[0] {
	case seal.Command:
		return seal.Main(ctx, args[1:], catalogLayer)
	case catalog.Command:
		return catalog.Main(ctx, args[1:])
	case basesbom.Command:
		return basesbom.Main(ctx, args[1:], baseReader)
	case document.Command:
		return document.Main(ctx)
	case credential.Command:
		return credential.Main(args[1:], os.Stdout)
	case credential.SignCommand:
		return credential.SignMain(args[1:], os.Stdout)
	case materials.Command:
		return materials.Main(ctx)
	case "version", "--version":
		fmt.Println("plomb-frontend", version)
		return nil
	}
	return fmt.Errorf("unknown command %q: this program is run by BuildKit; put its image on the # syntax line of a Dockerfile", args[0])
}
