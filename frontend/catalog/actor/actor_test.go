// SPDX-License-Identifier: Apache-2.0

package actor_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/actor"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":        "",
		"UNKNOWN": "",
		"Jane Doe <jane@example.org> (https://example.org/)": "Person: Jane Doe (jane@example.org)",
		"Jane Doe":         "Person: Jane Doe",
		"jane@example.org": "Person: jane@example.org",
		"The Example Foundation <info@example.org>":     "Organization: The Example Foundation (info@example.org)",
		"Debian Perl Group (pkg-perl@lists.debian.org)": "Organization: Debian Perl Group (pkg-perl@lists.debian.org)",
		"Doe (the first), Jane":                         "Person: Doe the first , Jane",
		strings.Repeat("prose ", 100):                   "",
	} {
		require.Equal(t, want, actor.Parse(text), text)
	}
}

func TestNew(t *testing.T) {
	require.Equal(t, "Person: Jane", actor.New("Jane", "no address"))
	require.Equal(t, "Person: Jane (j@example.org)", actor.New("Jane\n", "<j@example.org>"))
	require.Equal(t, "Organization: The developers (a@example.org)", actor.New("The developers <d@example.org>", "a@example.org"))
	require.Equal(t, "Organization: Example", actor.Organization(" Example "))
	require.Empty(t, actor.Organization("()"))
}

var shape = regexp.MustCompile(`^(Person|Organization): [^()\n]+( \([^()\s]+@[^()\s]+\))?$`)

func FuzzParse(f *testing.F) {
	f.Add("Jane Doe <jane@example.org> (https://example.org/)")
	f.Add("a@b (c@d)")
	f.Fuzz(func(t *testing.T, text string) {
		if who := actor.Parse(text); who != "" {
			require.Regexp(t, shape, who)
		}
	})
}
