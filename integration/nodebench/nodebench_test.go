// SPDX-License-Identifier: Apache-2.0

package nodebench

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCounterReadsPrometheusText(t *testing.T) {
	for line, want := range map[string]int{
		`plomb_verifications_total 20`:                            20,
		`plomb_decisions_total{point="pull",verdict="allow x"} 3`: 3,
		`plomb_registry_requests_total 1.2e+02`:                   120,
	} {
		name, n, ok := counter(line)
		require.True(t, ok, line)
		require.Equal(t, want, n, line)
		require.True(t, strings.HasPrefix(line, name))
		require.NotContains(t, name, "{")
	}
	for _, line := range []string{"", "# HELP plomb_x y 3", "# TYPE plomb_x counter", "plomb_x", "plomb_x NaNa"} {
		_, _, ok := counter(line)
		require.False(t, ok, line)
	}
}

func TestTablesCompareWithTheVerifierThatOnlyExits(t *testing.T) {
	ms := func(n ...int) (out []time.Duration) {
		for _, v := range n {
			out = append(out, time.Duration(v)*time.Millisecond)
		}
		return out
	}
	var b strings.Builder
	require.NoError(t, Result{
		Again:  map[string][]time.Duration{None: ms(1, 2, 3), Exits: ms(3, 4, 5), Agent: ms(4, 6, 9), StandAlone: ms(20)},
		First:  map[string][]time.Duration{Exits: ms(10), Agent: ms(15)},
		Create: map[string][]time.Duration{WithoutPlugin: ms(10, 10), WithPlugin: ms(11, 12)},
		Rushes: []Rush{{Pulls: 200, Images: 20, Verifications: 20, Alone: 1, Requests: 40, Memory: 40 << 20, Wall: 2 * time.Second, Without: time.Second}},
	}.write(&b))
	for _, row := range []string{
		"| plomb, with its agent | 6.00 ms | 2.00 ms | 9.00 ms | 15.00 ms | 5.00 ms | 15.00 ms |\n",
		"| 200 | 20 | 20 | 1 | 40 | 41.9 MB | 2.00 s | 1.00 s | 2.00 |\n",
		"| with the plugin | 11.00 ms | 1.00 ms | 12.00 ms |\n",
	} {
		require.Contains(t, b.String(), row)
	}
}
