// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/receipt"
)

// BenchmarkRemembered is an answer from memory with its receipt on disk: what a
// pull waits for, or with NRI a create.
func BenchmarkRemembered(b *testing.B) {
	w := newWorld(b)
	good := w.image("good", true)
	require.True(b, w.pull("app", good.Index).Admitted)
	b.Run("pull", func(b *testing.B) {
		for b.Loop() {
			require.True(b, w.gate.Ask(b.Context(), w.question(receipt.Pull, "app", good.Index)).Admitted)
		}
	})
	b.Run("create", func(b *testing.B) {
		for b.Loop() {
			out, _ := w.containers.Known(b.Context(), container(w.name("app"), good.Configs[0]))
			require.True(b, out.Admitted)
		}
	})
	b.Run("without receipt", func(b *testing.B) {
		for b.Loop() {
			require.NotNil(b, w.containers.verdict(container(w.name("app"), good.Configs[0])))
		}
	})
}
