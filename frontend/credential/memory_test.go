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
	list  []*credential.Given
	calls int
}

func (a *answers) Read(context.Context, ...string) (*credential.Given, error) {
	a.calls++
	return a.list[min(a.calls, len(a.list))-1], nil
}

func TestMemory(t *testing.T) {
	token := func(raw string) *credential.Given {
		return &credential.Given{Tokens: map[string]string{credential.IDToken: raw}}
	}
	fresh := token(jwt(claims(now.Add(time.Hour), "")))
	stale := token(jwt(claims(now.Add(-time.Hour), "")))
	for name, row := range map[string]struct {
		answers []*credential.Given
		reads   int
		err     error
	}{
		"a fresh token is read once":                {[]*credential.Given{fresh}, 1, nil},
		"an expired one is read again":              {[]*credential.Given{stale, fresh}, 2, nil},
		"but not for ever":                          {[]*credential.Given{stale}, 2, credential.ErrToken},
		"what is wrong otherwise is not read again": {[]*credential.Given{token("x")}, 1, credential.ErrToken},
		"nor is nothing":                            {[]*credential.Given{{}}, 1, credential.ErrNone},
	} {
		t.Run(name, func(t *testing.T) {
			reader := &answers{list: row.answers}
			s := source(&credential.Memory{Reader: reader})
			_, _, err := s.Look(t.Context())
			require.NoError(t, err)
			_, err = s.Token(t.Context())
			require.ErrorIs(t, err, row.err)
			require.Equal(t, row.reads, reader.calls)
		})
	}
}
