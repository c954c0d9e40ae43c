// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plombproject/plomb/internal/limit"
)

// marked begins the lines that Mend turned into comments.
const marked = "#plomb: "

// registries are the sections that had tables of registries, by version of the
// configuration: containerd moves those of old ones to the new place.
var registries = [][]string{
	{"plugins", images, "registry"},
	{"plugins", cri, "registry"},
	{"plugins", "cri", "registry"},
}

// needed are plugins that have to be loaded. The short names are those of
// version 1.
var needed = []string{transfer, bindir, nri, images, cri, "cri"}

// Mend edits a file of the configuration where no drop-in can: it turns exactly
// those lines into comments that keep containerd from asking verifiers, and
// keeps every other byte. changed is file if there is nothing to mend. What the
// lines said is still in them: a password in registry.configs stays where it
// was.
func Mend(file []byte) (changed []byte, err error) {
	if _, err := readTree(file); err != nil {
		return nil, err
	}
	list, err := expressions(file)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	at := 0
	for _, e := range list {
		replacement, act, err := mended(e)
		if err != nil {
			return nil, err
		}
		if !act {
			continue
		}
		out.Write(file[at:e.start])
		comment(&out, file[e.start:e.end])
		out.WriteString(replacement)
		at = e.end
	}
	if at == 0 {
		return file, nil
	}
	out.Write(file[at:])
	changed = out.Bytes()
	if _, err := readTree(changed); err != nil {
		return nil, fmt.Errorf("%w: after the edit: %w", ErrConfig, err)
	}
	return changed, nil
}

// mended tells whether an expression has to go, and what comes in its place.
func mended(e expression) (replacement string, act bool, err error) {
	for _, registry := range registries {
		for _, name := range legacy {
			path := append(slices.Clone(registry), name)
			if e.below(path) {
				return "", true, nil
			}
			if e.above(path) {
				return "", false, fmt.Errorf("%w: line %d is an inline table, in which %s may be: write it as a table, or take it out", ErrConfig, e.line, setting(path...))
			}
		}
	}
	if e.table || !slices.Equal(e.path, []string{"disabled_plugins"}) {
		return "", false, nil
	}
	kept := slices.DeleteFunc(slices.Clone(e.items), func(id string) bool { return slices.Contains(needed, id) })
	if len(kept) == len(e.items) {
		return "", false, nil
	}
	return "disabled_plugins = " + list(kept) + "\n", true, nil
}

// comment writes lines as comments. The last one gets a line break if it had
// none.
func comment(out *bytes.Buffer, lines []byte) {
	for line := range bytes.Lines(lines) {
		out.WriteString(marked)
		out.Write(line)
	}
	if !bytes.HasSuffix(lines, []byte{'\n'}) {
		out.WriteByte('\n')
	}
}

// Imports adds the import of dir/*.toml to a main configuration that lacks it.
// ok tells that it was there already, and changed is then mainConfig.
func Imports(mainConfig []byte, dir string) (changed []byte, ok bool, err error) {
	if !filepath.IsAbs(dir) || strings.ContainsAny(dir, "*?[\\") {
		return nil, false, fmt.Errorf("%w: %q is no folder to import from: want an absolute path without * ? [ \\", ErrConfig, dir)
	}
	t, err := readTree(mainConfig)
	if err != nil {
		return nil, false, err
	}
	pattern := filepath.Join(dir, "*.toml")
	have := t.strings("imports")
	if slices.ContainsFunc(have, func(p string) bool { return filepath.Clean(p) == pattern }) {
		return mainConfig, true, nil
	}
	line := "imports = " + list(append(slices.Clone(have), pattern)) + "\n"
	list, err := expressions(mainConfig)
	if err != nil {
		return nil, false, err
	}
	// A key of the document itself has to come before the first table.
	at, skip := 0, 0
	for _, e := range list {
		if e.table {
			break
		}
		if slices.Equal(e.path, []string{"imports"}) {
			at, skip = e.start, e.end-e.start
			break
		}
		at = e.end
	}
	var out bytes.Buffer
	out.Write(mainConfig[:at])
	if at > 0 && mainConfig[at-1] != '\n' {
		out.WriteByte('\n')
	}
	out.WriteString(line)
	out.Write(mainConfig[at+skip:])
	changed = out.Bytes()
	after, err := readTree(changed)
	if err != nil {
		return nil, false, fmt.Errorf("%w: after the edit: %w", ErrConfig, err)
	}
	if !slices.Contains(after.strings("imports"), pattern) {
		return nil, false, fmt.Errorf("%w: the import could not be added: add %s", ErrConfig, strings.TrimSpace(line))
	}
	return changed, false, nil
}

// maxFiles bounds the files that a configuration is made of.
const maxFiles = 1000

// Sources are the files that a main configuration is made of, in the order in
// which containerd merges them: itself, then what it imports, then what those
// do. The default import, which a file need not name, is not among them unless
// Facts.Imports are given.
func Sources(mainConfig string, imports ...string) ([]string, error) {
	var out []string
	pending := []string{mainConfig}
	for len(pending) > 0 {
		file := pending[0]
		pending = pending[1:]
		if slices.Contains(out, file) {
			continue
		}
		if len(out) == maxFiles {
			return nil, fmt.Errorf("%w: %s imports more than %d files", ErrConfig, mainConfig, maxFiles)
		}
		data, err := limit.ReadFile(file, maxConfig)
		if errors.Is(err, fs.ErrNotExist) && file == mainConfig {
			return nil, nil // containerd then has its defaults
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		t, err := readTree(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, file)
		found, err := matches(file, append(t.strings("imports"), imports...))
		if err != nil {
			return nil, err
		}
		imports = nil
		pending = append(pending, found...)
	}
	return out, nil
}

// matches resolves imports as containerd does: relative to the file, with * in
// any place.
func matches(file string, patterns []string) ([]string, error) {
	var out []string
	for _, p := range patterns {
		p = filepath.Clean(p)
		if !filepath.IsAbs(p) {
			p = filepath.Join(filepath.Dir(file), p)
		}
		if !strings.Contains(p, "*") {
			out = append(out, p)
			continue
		}
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("%w: %s imports %q: %w", ErrConfig, file, p, err)
		}
		out = append(out, found...)
	}
	return out, nil
}

// A Place is a line of a file of the configuration.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// Where finds the lines that a finding's setting is written in, in the order in
// which they count: the last one holds. There are none for a default.
func Where(files []string, f Finding) []Place {
	var out []Place
	for _, file := range files {
		data, err := limit.ReadFile(file, maxConfig)
		if err != nil {
			continue // it has been reported with the configuration
		}
		list, err := expressions(data)
		if err != nil {
			continue
		}
		for _, e := range list {
			if covers(f.Setting, e) {
				out = append(out, Place{File: file, Line: e.line})
				break
			}
		}
	}
	return out
}

// covers tells that an expression writes a setting, under its name of now or
// of the configuration's version 2.
func covers(name string, e expression) bool {
	path := setting(e.path...)
	if path == name && !e.table || strings.HasPrefix(path, name+".") {
		return true
	}
	old := strings.TrimPrefix(path, setting("plugins", cri)+".")
	if old == path {
		return false
	}
	now := setting("plugins", images) + "." + strings.TrimPrefix(old, "containerd.")
	return now == name && !e.table || strings.HasPrefix(now, name+".")
}
