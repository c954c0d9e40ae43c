// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/frontend/seal"
)

// catalogLayer looks at a layer in the container, and at the time, in which it
// is sealed: another container would cost more than the look.
func catalogLayer(ctx context.Context, level string, d seal.Dirs, changes []seal.Change, report string) error {
	list := make([]catalog.Change, len(changes))
	for i, c := range changes {
		list[i] = catalog.Change(c)
	}
	result, err := catalog.Layer(ctx, d.Lower, d.Out, list, catalog.Level(level))
	if err != nil {
		return fmt.Errorf("catalogue the layer: %w", err)
	}
	return result.Write(report)
}
