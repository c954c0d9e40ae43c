// SPDX-License-Identifier: Apache-2.0

// Command containerd is containerd with plomb's verifier built in: what
// containerd's own main does, and one import more. It is an example, and what
// the tests of plugin/builtin run.
package main

import (
	"context"
	"fmt"
	"os"

	_ "github.com/containerd/containerd/v2/cmd/containerd/builtins"
	"github.com/containerd/containerd/v2/cmd/containerd/command"

	_ "github.com/plombproject/plomb/plugin/builtin"
)

func main() {
	if err := command.App().Run(context.Background(), os.Args); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "containerd:", err)
		os.Exit(1)
	}
}
