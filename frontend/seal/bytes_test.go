// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestSameBytes(t *testing.T) {
	const buffer = 64 << 10
	long := strings.Repeat("x", buffer)
	for name, row := range map[string]struct {
		a, b string
		want bool
	}{
		"nothing":                     {"", "", true},
		"one and nothing":             {"a", "", false},
		"equal":                       {"abc", "abc", true},
		"different":                   {"abc", "abd", false},
		"one is longer":               {"abc", "ab", false},
		"equal, one buffer":           {long, long, true},
		"equal, more than a buffer":   {long + "y", long + "y", true},
		"the last byte differs":       {long + "y", long + "z", false},
		"longer by one, at the brink": {long + "y", long, false},
		"many buffers":                {strings.Repeat(long, 3) + "a", strings.Repeat(long, 3) + "b", false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, slow := range []func(io.Reader) io.Reader{
				func(r io.Reader) io.Reader { return r }, iotest.HalfReader, iotest.DataErrReader, iotest.OneByteReader,
			} {
				got, err := sameBytes(strings.NewReader(row.a), slow(strings.NewReader(row.b)))
				require.NoError(t, err)
				require.Equal(t, row.want, got)
				got, err = sameBytes(slow(strings.NewReader(row.b)), strings.NewReader(row.a))
				require.NoError(t, err)
				require.Equal(t, row.want, got)
			}
		})
	}
}

func TestSameBytesReportsReadErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, text := range []string{"", "abc"} {
		bad := func() io.Reader { return io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)) }
		_, err := sameBytes(bad(), strings.NewReader("abcdef"))
		require.ErrorIs(t, err, broken)
		_, err = sameBytes(strings.NewReader("abcdef"), bad())
		require.ErrorIs(t, err, broken)
	}
	// A file that cannot be read is not the same as one that ends there.
	same, err := sameBytes(bytes.NewReader(nil), iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
	require.False(t, same)
}
