// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lineOf is the n-th line of a file, from 1, with its line feed.
func lineOf(t *testing.T, path string, n int) []byte {
	t.Helper()
	lines := bytes.SplitAfter(read(t, path), []byte("\n"))
	require.Greater(t, len(lines), n)
	return lines[n-1]
}

func replace(t *testing.T, path string, old, with []byte) {
	t.Helper()
	data := read(t, path)
	require.Contains(t, string(data), string(old))
	require.NoError(t, os.WriteFile(path, bytes.Replace(data, old, with, 1), 0o600))
}

func TestTamperedLogsAreFound(t *testing.T) {
	file := func(dir string, n int) string { return filepath.Join(dir, fileName(n)) }
	for name, test := range map[string]struct {
		attack func(t *testing.T, dir string)
		code   string
		where  string
		reason string
	}{
		"a verdict is edited": {
			attack: func(t *testing.T, dir string) {
				replace(t, file(dir, 2), []byte(`"verdict":"deny"`), []byte(`"verdict":"allow"`))
			},
			code: CodeChain, where: "receipts-000002.jsonl:2",
			reason: "lines were changed, removed, added or moved",
		},
		"white space is added": {
			attack: func(t *testing.T, dir string) {
				replace(t, file(dir, 2), []byte(`,"node"`), []byte(`, "node"`))
			},
			code: CodeChain, where: "receipts-000002.jsonl:2",
		},
		"a line is removed": {
			attack: func(t *testing.T, dir string) {
				replace(t, file(dir, 2), lineOf(t, file(dir, 2), 2), nil)
			},
			code: CodeChain, where: "receipts-000002.jsonl:2",
		},
		"the first line is removed": {
			attack: func(t *testing.T, dir string) {
				replace(t, file(dir, 1), lineOf(t, file(dir, 1), 1), nil)
			},
			code: CodeChain, where: "receipts-000001.jsonl:1", reason: "the one before it has none",
		},
		"lines change places": {
			attack: func(t *testing.T, dir string) {
				a, b := lineOf(t, file(dir, 2), 1), lineOf(t, file(dir, 2), 2)
				replace(t, file(dir, 2), append(bytes.Clone(a), b...), append(bytes.Clone(b), a...))
			},
			code: CodeChain, where: "receipts-000002.jsonl:1",
		},
		"a line is forged in the middle": {
			attack: func(t *testing.T, dir string) {
				a := lineOf(t, file(dir, 2), 1)
				replace(t, file(dir, 2), a, append(bytes.Clone(a), a...))
			},
			code: CodeChain, where: "receipts-000002.jsonl:2",
		},
		"a line is forged at the end": {
			attack: func(t *testing.T, dir string) {
				list, err := numbers(dir)
				require.NoError(t, err)
				f, err := os.OpenFile(file(dir, list[len(list)-1]), os.O_APPEND|os.O_WRONLY, 0)
				require.NoError(t, err)
				line, err := encode(*example(99))
				require.NoError(t, err)
				_, err = f.Write(append(line, '\n'))
				require.NoError(t, err)
				require.NoError(t, f.Close())
			},
			code: CodeChain, reason: "it follows a line with the hash none",
		},
		"garbage in the middle": {
			attack: func(t *testing.T, dir string) {
				replace(t, file(dir, 1), lineOf(t, file(dir, 1), 2), []byte("{}\n"))
			},
			code: CodeLine, where: "receipts-000001.jsonl:2",
		},
		"a line too long to hold": {
			attack: func(t *testing.T, dir string) {
				replace(t, file(dir, 1), lineOf(t, file(dir, 1), 2), append(bytes.Repeat([]byte("x"), 3*MaxLine), '\n'))
			},
			code: CodeLine, where: "receipts-000001.jsonl:2", reason: "longer than",
		},
		"a repeated key": {
			attack: func(t *testing.T, dir string) {
				replace(t, file(dir, 1), []byte(`"verdict":"deny"`), []byte(`"verdict":"deny","verdict":"allow"`))
			},
			code: CodeLine, where: "receipts-000001.jsonl:1", reason: "repeated key",
		},
		"the first file is removed": {
			attack: func(t *testing.T, dir string) { require.NoError(t, os.Remove(file(dir, 1))) },
			code:   CodeMissing, where: "receipts-000001.jsonl",
		},
		"a file in the middle is removed": {
			attack: func(t *testing.T, dir string) { require.NoError(t, os.Remove(file(dir, 2))) },
			code:   CodeMissing, where: "receipts-000002.jsonl",
		},
		"a file is removed and the others renumbered": {
			attack: func(t *testing.T, dir string) {
				require.NoError(t, os.Remove(file(dir, 2)))
				require.NoError(t, os.Rename(file(dir, 3), file(dir, 2)))
				require.NoError(t, os.Rename(file(dir, 4), file(dir, 3)))
			},
			code: CodeChain, where: "receipts-000002.jsonl:1",
		},
		"files change places": {
			attack: func(t *testing.T, dir string) {
				require.NoError(t, os.Rename(file(dir, 1), file(dir, 9)))
				require.NoError(t, os.Rename(file(dir, 2), file(dir, 1)))
				require.NoError(t, os.Rename(file(dir, 9), file(dir, 2)))
			},
			code: CodeChain, where: "receipts-000001.jsonl:1",
		},
		"a file in the middle is cut in a line": {
			attack: func(t *testing.T, dir string) {
				require.NoError(t, os.Truncate(file(dir, 2), int64(len(read(t, file(dir, 2))))-5))
			},
			code: CodeTorn, where: "receipts-000002.jsonl:4",
		},
		"a file is a link": {
			attack: func(t *testing.T, dir string) {
				away := filepath.Join(t.TempDir(), "away")
				require.NoError(t, os.Rename(file(dir, 2), away))
				require.NoError(t, os.Symlink(away, file(dir, 2)))
			},
			code: CodeKind, where: "receipts-000002.jsonl", reason: "a symbolic link",
		},
		"a file is a folder": {
			attack: func(t *testing.T, dir string) {
				require.NoError(t, os.Remove(file(dir, 2)))
				require.NoError(t, os.Mkdir(file(dir, 2), 0o700))
			},
			code: CodeKind, where: "receipts-000002.jsonl", reason: "a folder",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := written(t, 16, Options{})
			list, err := numbers(dir)
			require.NoError(t, err)
			require.Equal(t, []int{1, 2, 3, 4}, list)
			test.attack(t, dir)
			r, err := CheckLog(dir)
			require.NoError(t, err)
			require.NotEmpty(t, r.Faults)
			f := r.Faults[0]
			require.Equal(t, test.code, f.Code, f)
			require.Contains(t, f.Reason, test.reason)
			if test.where != "" {
				require.Equal(t, test.where, f.Where())
			}
			require.False(t, r.Sound())
		})
	}
}

func TestNothingToCheck(t *testing.T) {
	for name, dir := range map[string]string{
		"no folder":       filepath.Join(t.TempDir(), "absent"),
		"an empty folder": t.TempDir(),
	} {
		_, err := CheckLog(dir)
		require.ErrorIs(t, err, ErrCheck, name)
	}
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(written(t, 1, Options{}), link))
	_, err := CheckLog(link)
	require.ErrorContains(t, err, "a symbolic link")
}

func TestWritersFollowNoLinks(t *testing.T) {
	target := t.TempDir()
	dir := filepath.Join(t.TempDir(), "receipts")
	require.NoError(t, os.Symlink(target, dir))
	_, err := Open(dir, Options{})
	require.ErrorIs(t, err, ErrLog)
	require.ErrorContains(t, err, "a symbolic link: remove it")

	for _, name := range []string{lockName, fileName(1)} {
		dir := filepath.Join(t.TempDir(), "receipts")
		l := open(t, dir, Options{})
		victim := filepath.Join(t.TempDir(), "shadow")
		require.NoError(t, os.WriteFile(victim, []byte("root:x\n"), 0o600))
		require.NoError(t, os.Symlink(victim, filepath.Join(dir, name)))
		_, err := l.Append(t.Context(), example(0))
		require.ErrorIs(t, err, ErrLog, name)
		require.ErrorContains(t, err, "symbolic link", name)
		require.Equal(t, "root:x\n", string(read(t, victim)))
	}
}

// The folder changes into a link while the log is open.
func TestFolderThatIsSwapped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	l := open(t, dir, Options{})
	fill(t, l, 0, 1)
	require.NoError(t, os.Rename(dir, dir+".away"))
	require.NoError(t, os.Symlink(dir+".away", dir))
	_, err := l.Append(t.Context(), example(1))
	require.ErrorIs(t, err, ErrLog)
}

func TestOthersCannotReadTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	require.NoError(t, os.Mkdir(dir, 0o777))
	require.NoError(t, os.Chmod(dir, 0o777))
	open(t, dir, Options{})
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestForeignFolderIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	dir := filepath.Join(t.TempDir(), "receipts")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, 65534, 65534))
	_, err := Open(dir, Options{})
	require.ErrorIs(t, err, ErrLog)
	require.ErrorContains(t, err, "belongs to another user")
}

// A crash leaves all kinds of ends. What was acknowledged stays.
func TestTornEndsAreSetAside(t *testing.T) {
	for name, tail := range map[string]string{
		"half a line":            `{"schema":"https://plombproject.github.io/rec`,
		"a line without its end": string(mustEncode(t, example(77))),
		"zeros":                  strings.Repeat("\x00", 700),
		"zeros and a line feed":  strings.Repeat("\x00", 700) + "\n",
		"not JSON":               "xyz\n",
		"a long one":             strings.Repeat("y", 2*MaxLine) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "receipts")
			l := open(t, dir, Options{})
			fill(t, l, 0, 3)
			path := filepath.Join(dir, fileName(1))
			whole := read(t, path)
			require.NoError(t, os.WriteFile(path, append(bytes.Clone(whole), tail...), 0o600))

			l = open(t, dir, Options{})
			fill(t, l, 4, 6)
			r := sound(t, dir)
			require.Equal(t, 5, r.Receipts)
			require.True(t, bytes.HasPrefix(read(t, path), whole))
			require.Len(t, r.Notes, 1)
			require.Equal(t, CodeTorn, r.Notes[0].Code)
			require.Equal(t, tail, string(read(t, filepath.Join(dir, r.Notes[0].File))))
		})
	}
}

func mustEncode(t *testing.T, r *Receipt) []byte {
	t.Helper()
	line, err := encode(*r)
	require.NoError(t, err)
	return line
}

// Before a writer comes by, a torn end of the last file is no fault.
func TestTornEndIsNoFault(t *testing.T) {
	dir := written(t, 2, Options{})
	f, err := os.OpenFile(filepath.Join(dir, fileName(1)), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("{")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	r := sound(t, dir)
	require.Equal(t, "receipts-000001.jsonl:3", r.Notes[0].Where())
}

// A file was begun, and the power failed before its first line.
func TestEmptyLastFileCarriesTheChain(t *testing.T) {
	dir := written(t, 16, Options{})
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName(5)), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName(6)), nil, 0o600))
	l := open(t, dir, Options{MaxBytes: 2000})
	fill(t, l, 16, 18)
	require.Equal(t, 18, sound(t, dir).Receipts)
}

// An agent that is running remembers how long the log was. Cutting it behind
// the agent's back shows, even without checkpoints.
func TestRunningWriterKeepsACutInSight(t *testing.T) {
	for name, attack := range map[string]func(t *testing.T, dir string){
		"cut": func(t *testing.T, dir string) {
			path := filepath.Join(dir, fileName(1))
			require.NoError(t, os.Truncate(path, int64(len(lineOf(t, path, 1)))))
		},
		"removed": func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, fileName(1))))
		},
		"the whole folder": func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) },
		"rewritten": func(t *testing.T, dir string) {
			path := filepath.Join(dir, fileName(1))
			data := read(t, path)
			require.NoError(t, os.Remove(path))
			last := bytes.LastIndex(data, []byte(`"deny"`))
			copy(data[last:], `"Deny"`)
			require.NoError(t, os.WriteFile(path, data, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "receipts")
			var warnings []error
			l := open(t, dir, Options{Warn: func(err error) { warnings = append(warnings, err) }})
			fill(t, l, 0, 3)
			attack(t, dir)
			fill(t, l, 3, 5)
			require.NotEmpty(t, warnings)
			require.ErrorContains(t, warnings[0], "lost receipts")
			r, err := CheckLog(dir)
			require.NoError(t, err)
			require.Equal(t, CodeChain, r.Faults[0].Code)
		})
	}
}

func TestForeignAndLooseFilesAreNoted(t *testing.T) {
	dir := written(t, 1, Options{})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	require.NoError(t, os.Chmod(filepath.Join(dir, fileName(1)), 0o666))
	require.NoError(t, os.Chmod(dir, 0o777))
	codes := map[string]string{}
	for _, n := range sound(t, dir).Notes {
		codes[n.File] = n.Code
	}
	require.Equal(t, map[string]string{"notes.txt": CodeForeign, fileName(1): CodeAccess, ".": CodeAccess}, codes)
}

func TestReportOfARewrittenLogIsBounded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName(1)), bytes.Repeat([]byte("x\n"), maxFaults+7), 0o600))
	r, err := CheckLog(dir)
	require.NoError(t, err)
	require.Len(t, r.Faults, maxFaults)
	require.Equal(t, 7, r.More)
}
