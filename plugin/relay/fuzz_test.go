// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/relay"
)

// FuzzReadRequest: what is read is within the bounds, is the only thing that
// would be sent so, and nothing behind it was touched.
func FuzzReadRequest(f *testing.F) {
	f.Add(relay.AppendRequest(nil, relay.Request{Args: []string{"-name", "x"}, Stdin: []byte("{}")}))
	f.Add([]byte(relay.Magic + "\x00\x00\x00\x00\x00\x00\x00\x00rest"))
	f.Add([]byte(relay.Magic + "\xff\xff\xff\xff"))
	f.Add([]byte(relay.Magic + "\x00\x00\x00\x01\x7f\xff\xff\xffx"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		req, err := relay.ReadRequest(r)
		if err != nil {
			require.ErrorIs(t, err, relay.ErrProtocol)
			return
		}
		require.LessOrEqual(t, len(req.Args), relay.MaxArgs)
		require.LessOrEqual(t, len(req.Stdin), relay.MaxStdin)
		require.Equal(t, data[:len(data)-r.Len()], relay.AppendRequest(nil, req))
	})
}
