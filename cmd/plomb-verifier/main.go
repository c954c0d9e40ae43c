// SPDX-License-Identifier: Apache-2.0

// Command plomb-verifier is the image verifier that containerd runs before it
// pulls. See package plugin/bindir.
package main

import (
	"context"
	"os"

	_ "github.com/plombproject/plomb/internal/shortlived" // one call, one process
	"github.com/plombproject/plomb/plugin/bindir"
)

func main() {
	os.Exit(bindir.Main(context.Background(), bindir.Process{
		Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}
