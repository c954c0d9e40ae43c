// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Repository is one of Git that is served over HTTP.
type Repository struct {
	URL  string // with http://
	Bare string // the folder that is served
	Work string // a work tree with one commit, on main, and no remote
}

// ServeGit makes a repository of files and serves it for the length of the
// test. Everybody may read it, whoever they say they are.
func ServeGit(t testing.TB, files map[string]string) Repository {
	t.Helper()
	root, work := t.TempDir(), Folder(t, files)
	r := Repository{Bare: filepath.Join(root, "repo.git"), Work: work}
	Git(t, work, "init", "-q", "-b", "main")
	Git(t, work, "add", ".")
	Git(t, work, "commit", "-q", "-m", "one")
	Git(t, work, "clone", "-q", "--bare", ".", r.Bare)
	backend, err := exec.Command("git", "--exec-path").Output()
	require.NoError(t, err)
	server := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(backend)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
	})
	t.Cleanup(server.Close)
	r.URL = server.URL + "/repo.git"
	return r
}

// Git runs git in dir and returns what it printed.
func Git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	config := []string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "safe.bareRepository=all"}
	out, err := exec.CommandContext(t.Context(), "git", append(config, args...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	return strings.TrimSpace(string(out))
}
