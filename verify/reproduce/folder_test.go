// SPDX-License-Identifier: Apache-2.0

package reproduce

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/contents"
	"github.com/plombproject/plomb/provenance/slsa"
)

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

// tree is a folder with what a build read of it, and the reading.
func tree(t *testing.T) (string, Folder) {
	t.Helper()
	asked := t.TempDir()
	put(t, asked, "src/a", "a")
	put(t, asked, "src/b", "b")
	require.NoError(t, os.Symlink("a", filepath.Join(asked, "src/l")))
	entries, err := contents.Of(t.Context(), contents.Dir(asked))
	require.NoError(t, err)
	summary, err := contents.Sum(entries)
	require.NoError(t, err)
	// The whole folder has more.
	put(t, asked, "src/x.log", "log")
	put(t, asked, "other", "other")
	return asked, Folder{Used: true, Recorded: []Recorded{{
		Filter: slsa.Filter{Exclude: []string{"**/*.log"}, Follow: []string{"src"}}, Summary: *summary,
	}}}
}

func TestFolderCheck(t *testing.T) {
	dir, f := tree(t)
	require.NoError(t, f.Check(t.Context(), dir))
	put(t, dir, "other", "changed")
	put(t, dir, "src/y.log", "new")
	require.NoError(t, f.Check(t.Context(), dir), "the build did not ask for these")
	require.NoError(t, Folder{}.Check(t.Context(), "/nowhere"), "of which the build read nothing")

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	require.NoError(t, f.Check(t.Context(), link))

	put(t, dir, "src/b", "B")
	put(t, dir, "src/new\x1b[31m", "x")
	err := f.Check(t.Context(), dir)
	require.ErrorIs(t, err, ErrContext)
	require.ErrorContains(t, err, `it has 5 entries with 3 bytes, the image was built from 4 with 2`)
	require.ErrorContains(t, err, `"src/b", "src/new\x1b[31m"`)
	require.ErrorContains(t, err, "1 of the recorded entries are not here as they were")

	f.Recorded[0].Summary.Marks = ""
	require.ErrorContains(t, f.Check(t.Context(), dir), "5 entries")
	require.Error(t, f.Check(t.Context(), "/nowhere"))
	f.Recorded[0].Filter.Exclude = []string{"["}
	require.Error(t, f.Check(t.Context(), dir))
}

func TestCheckDockerfile(t *testing.T) {
	dir, f := tree(t)
	path := filepath.Join(dir, "Dockerfile")
	put(t, dir, "Dockerfile", "FROM scratch\n")
	put(t, dir, ".dockerignore", "# logs\n**/*.log\n")
	p := Plan{Dockerfile: slsa.Dockerfile{Name: "Dockerfile", SHA256: hexSum([]byte("FROM scratch\n"))}, Folders: map[string]Folder{"context": f}}
	require.NoError(t, p.CheckDockerfile(path, dir))

	put(t, dir, "Dockerfile.dockerignore", "src\n")
	require.ErrorIs(t, p.CheckDockerfile(path, dir), ErrContext)
	require.NoError(t, os.Remove(path+".dockerignore"))
	require.NoError(t, os.Remove(filepath.Join(dir, ".dockerignore")))
	require.ErrorContains(t, p.CheckDockerfile(path, dir), "the missing .dockerignore leaves out []")
	p.Folders = nil
	require.NoError(t, p.CheckDockerfile(path, dir), "nothing of the context was read")

	require.ErrorContains(t, p.CheckDockerfile(path+"x", dir), "--file")
	put(t, dir, "Dockerfile", "FROM scratch \n")
	require.ErrorContains(t, p.CheckDockerfile(path, dir), "the Dockerfile of the image had "+p.Dockerfile.SHA256)
}
