// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnchors(t *testing.T) {
	for expr, want := range map[string][3]bool{
		`^a$`:            {true, true, false},
		`a`:              {false, false, false},
		`^a`:             {true, false, false},
		`a$`:             {false, true, false},
		`^a|b$`:          {false, false, false},
		`^(a|b)$`:        {true, true, false},
		`^a$|^b$`:        {true, true, false},
		`(?m)^a$`:        {false, false, false},
		`\Aa\z`:          {true, true, false},
		`.*`:             {false, false, true},
		`^.+$`:           {true, true, true},
		`(.*|x)`:         {false, false, true},
		`.*@example.com`: {false, false, false},
		`^(^a)(b$)$`:     {true, true, false},
		`(`:              {false, false, false},
	} {
		begins, ends, everything := anchors(expr)
		require.Equal(t, want, [3]bool{begins, ends, everything}, expr)
	}
}

func TestDotted(t *testing.T) {
	require.True(t, dotted.MatchString(`^https://github.com/shop/`))
	require.False(t, dotted.MatchString(`^https://github\.com/shop/`))
}
