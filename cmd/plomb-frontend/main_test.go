// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunRefuses(t *testing.T) {
	for says, args := range map[string][]string{
		`unknown command "build"`:       {"build"},
		"put its image on the # syntax": {"--help"},
		"allowed are on and off":        {"seal", "--scrub", "maybe"},
		"flag provided but not defined": {"seal", "--colour", "red"},
		`invalid value "yesterday"`:     {"seal", "--time", "yesterday"},
		"/out":                          {"seal"}, // outside a build container there is nothing to seal
	} {
		require.ErrorContains(t, run(t.Context(), args), says)
	}
}

func TestRunVersion(t *testing.T) {
	require.NoError(t, run(t.Context(), []string{"version"}))
}
