// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/plombproject/plomb/integration/tamper"
)

// tamperWith is for hack/demo: it pushes a changed copy of a signed image, with
// the signature of the original, and prints its reference.
func tamperWith(ctx context.Context, args []string, stdout, _ io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: stand tamper IMAGE NEWTAG")
	}
	repo, tag, err := tamper.Parse(args[0])
	if err != nil {
		return err
	}
	if err := repo.Preload(ctx, tag, args[1]); err != nil {
		return fmt.Errorf("tamper with %s: %w", args[0], err)
	}
	fmt.Fprintln(stdout, repo.Ref(args[1]))
	return nil
}
