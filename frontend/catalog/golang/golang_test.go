// SPDX-License-Identifier: Apache-2.0

package golang_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem/treetest"
	"github.com/plombproject/plomb/frontend/catalog/executable"
	"github.com/plombproject/plomb/frontend/catalog/golang"
	"github.com/plombproject/plomb/provenance/sbom"
)

// build compiles a program of two modules, one replaced by the other's folder.
func build(t testing.TB, env []string, flags ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.org/Main/v2\n\ngo 1.24\n\nrequire example.org/lib v1.2.3+incompatible\n" +
			"\nreplace example.org/lib => ./lib\n",
		"main.go":    "package main\n\nimport \"example.org/lib\"\n\nfunc main() { println(lib.Name) }\n",
		"lib/go.mod": "module example.org/lib\n\ngo 1.24\n",
		"lib/lib.go": "package lib\n\nconst Name = \"lib\"\n",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	out := filepath.Join(dir, "program")
	cmd := exec.Command("go", append([]string{"build", "-buildvcs=false", "-o", out}, append(flags, ".")...)...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off"), env...)
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	program, err := os.ReadFile(out)
	require.NoError(t, err)
	return program
}

func TestReadsPrograms(t *testing.T) {
	for name, test := range map[string]struct {
		env   []string
		flags []string
	}{
		"linux":    {},
		"stripped": {flags: []string{"-ldflags=-s -w"}},
		"windows":  {env: []string{"GOOS=windows"}},
	} {
		t.Run(name, func(t *testing.T) {
			tree := treetest.Tree{"/app/program": build(t, test.env, test.flags...)}
			packages, err := tree.Read(t, golang.Readers(), "/app/program")
			require.NoError(t, err)
			require.Len(t, packages, 3)
			lib, std, main := packages[0], packages[1], packages[2]

			require.Equal(t, sbom.Package{Type: "golang", Name: "example.org/lib", PURL: "pkg:golang/example.org/lib"}, lib)
			require.Equal(t, "stdlib", std.Name)
			require.True(t, strings.HasPrefix(std.Version, "go1."), std.Version)
			require.Equal(t, "pkg:golang/stdlib@"+strings.TrimPrefix(std.Version, "go"), std.PURL)
			require.Equal(t, "BSD-3-Clause", std.License)
			require.Equal(t, "example.org/Main/v2", main.Name)
			require.Equal(t, "pkg:golang/example.org/main/v2", main.PURL)
			require.Equal(t, [][]string{{"example.org/lib"}, {"stdlib"}}, main.Requires)
			require.True(t, main.Top)
		})
	}
}

func TestReadsAProgramWithoutSections(t *testing.T) {
	program := build(t, nil)
	clear(program[40:48]) // e_shoff
	clear(program[58:64]) // e_shentsize, e_shnum, e_shstrndx
	packages, err := treetest.Tree{"/app/program": program}.Read(t, golang.Readers(), "/app/program")
	require.NoError(t, err)
	require.Len(t, packages, 3)
}

func TestModules(t *testing.T) {
	data, err := os.ReadFile("testdata/modules.txt")
	require.NoError(t, err)
	packages, err := golang.Parse("go1.22.3 X:nocoverageredesign", string(data))
	require.NoError(t, err)
	got, err := json.MarshalIndent(packages, "", "  ")
	require.NoError(t, err)
	want, err := os.ReadFile("testdata/modules.json")
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(want)), string(got))
}

func TestMainModule(t *testing.T) {
	for text, want := range map[string][2]string{
		"mod\texample.org/a\tv1.2.3\th1:x=\n": {"example.org/a", "v1.2.3"},
		"mod\texample.org/a\t(devel)\t\n":     {"example.org/a", ""},
		"mod\texample.org/a\t(devel)\t\nbuild\t-ldflags=\"-s -X main.commit=abc -X 'example.org/a/internal.Version=1.2.3-rc.1'\"\nbuild\tvcs.time=2024-05-06T07:08:09Z\nbuild\tvcs.revision=0123456789abcdef\n": {"example.org/a", "v1.2.3-rc.1"},
		"mod\texample.org/a\t(devel)\t\nbuild\t-ldflags=\"-X main.version=latest\"\nbuild\tvcs.time=2024-05-06T07:08:09Z\nbuild\tvcs.revision=0123456789abcdef\n":                                               {"example.org/a", "v0.0.0-20240506070809-0123456789ab"},
		"path\tgithub.com/opencontainers/runc\n": {"github.com/opencontainers/runc", ""},
		"path\tcommand-line-arguments\n":         {},
		"path\tcmd/go\n":                         {},
	} {
		packages, err := golang.Parse("devel", text)
		require.NoError(t, err)
		got := [2]string{}
		if len(packages) > 0 {
			got = [2]string{packages[0].Name, packages[0].Version}
		}
		require.Equal(t, want, got, text)
	}
}

func TestOtherFilesHaveNoModules(t *testing.T) {
	big := bytes.Repeat([]byte{0}, 1<<20)
	for path, data := range map[string][]byte{
		"/app/zeros":  big,
		"/app/script": append([]byte("#!/bin/sh\n"), big...),
		"/app/tiny":   []byte("\x7fELF"),
		"/app/elf":    append([]byte("\x7fELF\x02\x01\x01"), big...),
		"/app/pe":     append([]byte("MZ"), big...),
		"/app/macho":  append([]byte("\xcf\xfa\xed\xfe"), big...),
		"/app/x.py":   append([]byte("\x7fELF"), big...),
	} {
		packages, err := treetest.Tree{path: data}.Read(t, golang.Readers(), path)
		require.NoError(t, err, path)
		require.Empty(t, packages, path)
	}
}

func FuzzProgram(f *testing.F) {
	program := build(f, nil, "-ldflags=-s -w")
	f.Add(program[:8192], uint16(0), byte(0))
	f.Add([]byte("\x7fELF\x01\x02"), uint16(50), byte(255))
	f.Add([]byte("MZ"), uint16(60), byte(1))
	f.Add([]byte("\xcf\xfa\xed\xfe"), uint16(16), byte(7))
	f.Fuzz(func(t *testing.T, head []byte, offset uint16, value byte) {
		data := bytes.Clone(program)
		copy(data, head)
		data[offset] = value
		file, err := executable.Read(bytes.NewReader(data), int64(len(data)))
		if err != nil || file == nil {
			return
		}
		packages, err := golang.Program(file)
		if err == nil && len(packages) > 0 {
			require.NotEmpty(t, packages[0].Name)
		}
	})
}

// BenchmarkSniff is what a program costs that is not written in Go.
func BenchmarkSniff(b *testing.B) {
	program, err := os.ReadFile("/proc/self/exe")
	require.NoError(b, err)
	for b.Loop() {
		_, err := executable.Read(bytes.NewReader(program), int64(len(program)))
		require.NoError(b, err)
	}
}

// BenchmarkProgram is what a Go program costs.
func BenchmarkProgram(b *testing.B) {
	program, err := os.ReadFile("/proc/self/exe")
	require.NoError(b, err)
	for b.Loop() {
		f, err := executable.Read(bytes.NewReader(program), int64(len(program)))
		require.NoError(b, err)
		_, err = golang.Program(f)
		require.NoError(b, err)
	}
}
