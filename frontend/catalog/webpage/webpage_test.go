// SPDX-License-Identifier: Apache-2.0

package webpage_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/webpage"
)

func TestFirst(t *testing.T) {
	require.Equal(t, "https://example.org/a?b#c", webpage.First("", "github:a/b", " https://example.org/a?b#c\n", "https://other.example"))
	for _, text := range []string{
		"", "example.org", "javascript:alert(1)", "https://", "https://a b", "https://user:secret@example.org/", "http://exa\nmple.org",
		"https://example.org/<x>", "https://example.org/" + strings.Repeat("x", 3000), "ftp://example.org",
	} {
		require.Empty(t, webpage.First(text), text)
	}
}
