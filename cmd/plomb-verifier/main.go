// SPDX-License-Identifier: Apache-2.0

// Command plomb-verifier is the image verifier that containerd runs before it
// pulls. See package plugin/bindir, and plugin/relay/early for what happens
// before main.
package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"time"

	_ "github.com/plombproject/plomb/internal/shortlived" // one call, one process
	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/plugin/relay/early"
)

func main() {
	os.Exit(bindir.Main(context.Background(), bindir.Process{
		Args: os.Args[1:], Getenv: os.Getenv, Stdout: os.Stdout, Stderr: os.Stderr,
		Stdin: io.MultiReader(bytes.NewReader(early.Stdin()), os.Stdin),
		Spent: time.Duration(early.Spent()), Agent: early.Fault(),
	}))
}
