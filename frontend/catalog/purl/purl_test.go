// SPDX-License-Identifier: Apache-2.0

package purl_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/purl"
)

func TestNew(t *testing.T) {
	for _, test := range []struct{ kind, namespace, name, version, want string }{
		{"npm", "@babel", "core", "7.0.0", "pkg:npm/%40babel/core@7.0.0"},
		{"npm", "", "left-pad", "", "pkg:npm/left-pad"},
		{"pypi", "", "Typing_Extensions", "4.1", "pkg:pypi/typing-extensions@4.1"},
		{"golang", "github.com/BurntSushi", "toml", "v1.6.0+incompatible", "pkg:golang/github.com/burntsushi/toml@v1.6.0%2Bincompatible"},
		{"maven", "org.Example", "Lib", "1", "pkg:maven/org.Example/Lib@1"},
		{"cargo", "", "rand", "0.7.2", "pkg:cargo/rand@0.7.2"},
		{"cargo", "", "", "0.7.2", ""},
		{"npm", "", "a b?c#d", "1 2", "pkg:npm/a%20b%3Fc%23d@1%202"},
	} {
		require.Equal(t, test.want, purl.New(test.kind, test.namespace, test.name, test.version))
	}
}
