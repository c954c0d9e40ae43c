// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
)

// Hack runs a developer's command, hack/NAME, on s and returns the last line of
// its standard output: the reference or token that it made.
func Hack(ctx context.Context, s *stand.Stand, name string, args ...string) (string, error) {
	root, err := stand.FindRoot()
	if err != nil {
		return "", err
	}
	p := Command{On: s, Name: filepath.Join(root, "hack", name), Args: args}.Do(ctx)
	if p.Err != nil {
		return "", fmt.Errorf("%w\n%s", p.Err, p.All)
	}
	lines := strings.Split(strings.TrimSpace(p.Out), "\n")
	return lines[len(lines)-1], nil
}

// Base makes one of hack/base's images, if s has it not yet, and returns its
// reference.
func Base(t testing.TB, s *stand.Stand, name string) string {
	t.Helper()
	ref, err := Hack(t.Context(), s, "base", name)
	require.NoError(t, err)
	return ref
}

// Token writes a fresh identity token, made with flags of hack/token, to a
// file and returns the file's name.
func Token(t testing.TB, s *stand.Stand, flags ...string) string {
	t.Helper()
	token, err := Hack(t.Context(), s, "token", flags...)
	require.NoError(t, err)
	return Secret(t, token)
}
