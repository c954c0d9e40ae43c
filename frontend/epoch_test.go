// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTakeEpoch(t *testing.T) {
	monday := time.Unix(1790000000, 0).UTC()
	for name, row := range map[string]struct {
		value, dockerfile string
		want              *time.Time
	}{
		"a number":                         {"1790000000", "FROM scratch", &monday},
		"none":                             {"", "FROM scratch", nil},
		"the Dockerfile asks for it":       {"1790000000", "FROM scratch\nARG SOURCE_DATE_EPOCH\n", nil},
		"it is for the library to resolve": {"context", "FROM scratch", nil},
		"it is no time":                    {"17e9", "FROM scratch", nil},
	} {
		t.Run(name, func(t *testing.T) {
			args := map[string]string{"OTHER": "x"}
			if row.value != "" {
				args[epochArg] = row.value
			}
			require.Equal(t, row.want, takeEpoch(args, []byte(row.dockerfile)))
			_, left := args[epochArg]
			require.Equal(t, row.want == nil && row.value != "", left)
			require.Equal(t, "x", args["OTHER"])
		})
	}
}
