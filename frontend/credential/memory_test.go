// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/credential"
)

// answers gives one answer after the other, and the last one for ever.
type answers struct {
	list  []map[string]string
	calls int
}

func (a *answers) Read(context.Context, ...string) (map[string]string, error) {
	a.calls++
	return a.list[min(a.calls, len(a.list))-1], nil
}

func TestMemory(t *testing.T) {
	fresh := map[string]string{credential.IDToken: jwt(claims(now.Add(time.Hour), ""))}
	stale := map[string]string{credential.IDToken: jwt(claims(now.Add(-time.Hour), ""))}
	for name, row := range map[string]struct {
		answers []map[string]string
		reads   int
		err     error
	}{
		"a fresh token is read once":                {[]map[string]string{fresh}, 1, nil},
		"an expired one is read again":              {[]map[string]string{stale, fresh}, 2, nil},
		"but not for ever":                          {[]map[string]string{stale}, 2, credential.ErrToken},
		"what is wrong otherwise is not read again": {[]map[string]string{{credential.IDToken: "x"}}, 1, credential.ErrToken},
		"nor is nothing":                            {[]map[string]string{{}}, 1, credential.ErrNone},
	} {
		t.Run(name, func(t *testing.T) {
			reader := &answers{list: row.answers}
			s := source(&credential.Memory{Reader: reader})
			_, err := s.Present(t.Context())
			require.NoError(t, err)
			_, err = s.Token(t.Context())
			require.ErrorIs(t, err, row.err)
			require.Equal(t, row.reads, reader.calls)
		})
	}
}
