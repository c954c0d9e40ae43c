// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"regexp"
	"strings"
	"testing"

	"github.com/plombproject/plomb/integration/stand"
)

// Push are the first arguments of a build whose image goes to the registry as
// ref, with further attributes for the exporter.
func Push(ref string, attributes ...string) []string {
	output := append([]string{"type=image,push=true,name=" + ref}, attributes...)
	return []string{"build", "--progress=plain", "--output", strings.Join(output, ",")}
}

// Signed are the arguments of a build that is signed by the Sigstore of s, with
// a fresh token.
func Signed(t testing.TB, s *stand.Stand) []string {
	t.Helper()
	return SignedWith(s, Token(t, s))
}

// SignedWith is Signed with the token in a file.
func SignedWith(s *stand.Stand, token string) []string {
	return []string{"--secret", "id=plomb-id-token,src=" + token, "--build-context", "plomb=" + s.Sigstore}
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// Name is the test's name as the last part of a repository's.
func Name(t testing.TB) string {
	return strings.Trim(notInName.ReplaceAllString(strings.ToLower(t.Name()), "-"), "-")
}
