// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/plombproject/plomb/plugin/containerd"
)

// dropInName comes last of what is usually in such a folder: files that are
// read later win.
const dropInName = "99-plomb.toml"

// verifierName is plomb-verifier's in the folder of verifiers.
const verifierName = "plomb-verifier"

// A place is what is found of containerd before anything is changed.
type place struct {
	daemon containerd.Daemon
	// main is the main configuration, which need not be there, and imports the
	// files that it imports now, as patterns.
	main     string
	mainData []byte
	mainMode os.FileMode
	imports  []string
	// dropIn is where plomb's drop-in belongs.
	dropIn string
	// report is about the effective configuration without that drop-in.
	report containerd.Report
	binDir string
}

func (n *Node) find(ctx context.Context) (*place, error) {
	daemon, err := n.Runtime.Daemon(ctx)
	if err != nil {
		return nil, err
	}
	p := &place{daemon: daemon, main: n.ContainerdConfig}
	if p.main == "" {
		p.main = daemon.Config
	}
	if p.main == "" {
		p.main = DefaultContainerdConfig
	}
	// What is renamed into the place of a link would leave the link's target as it is.
	if real, err := filepath.EvalSymlinks(p.main); err == nil {
		p.main = real
	}
	if err := p.readMain(); err != nil {
		return nil, err
	}
	dump, err := n.dump(ctx, p, layers{main: p.mainData})
	if err != nil {
		return nil, err
	}
	if p.report, err = containerd.Analyse(dump); err != nil {
		return nil, err
	}
	if p.binDir = p.report.Facts.BinDir; p.binDir == "" {
		p.binDir = DefaultBinDir
	}
	return p, nil
}

func (p *place) readMain() error {
	p.mainMode = 0o644
	now, err := onDisk(p.main)
	if err != nil {
		return fmt.Errorf("%w: %w", containerd.ErrConfig, err)
	}
	if now != nil {
		p.mainData, p.mainMode = now.Data, now.Mode
	}
	var config struct {
		Imports []string `toml:"imports"`
	}
	if err := toml.Unmarshal(p.mainData, &config); err != nil {
		return fmt.Errorf("%w: %s: %w", containerd.ErrConfig, p.main, err)
	}
	p.dropIn = filepath.Join(filepath.Dir(p.main), "conf.d", dropInName)
	for _, pattern := range config.Imports {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(p.main), pattern)
		}
		p.imports = append(p.imports, filepath.Clean(pattern))
		if filepath.Base(pattern) == "*.toml" {
			p.dropIn = filepath.Join(filepath.Dir(pattern), dropInName)
		}
	}
	return nil
}

// imported lists the files that containerd would read after the main one, with
// dropIn in the place of plomb's, or without it if that is empty.
func (p *place) imported(dropIn string) ([]string, error) {
	files := []string{}
	placed := dropIn == ""
	for _, pattern := range p.imports {
		if !strings.Contains(pattern, "*") {
			files = append(files, pattern)
			continue
		}
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: imports: %w", containerd.ErrConfig, p.main, err)
		}
		found = slices.DeleteFunc(found, func(path string) bool { return path == p.dropIn })
		if ours, _ := filepath.Match(pattern, p.dropIn); ours && !placed {
			at, _ := slices.BinarySearch(found, p.dropIn)
			found, placed = slices.Insert(found, at, dropIn), true
		}
		files = append(files, found...)
	}
	if !placed {
		files = append(files, dropIn) // by an import that is to be added
	}
	return files, nil
}

// importsDropIn tells that containerd will read the drop-in by itself.
func (p *place) importsDropIn() bool {
	return slices.ContainsFunc(p.imports, func(pattern string) bool {
		ok, _ := filepath.Match(pattern, p.dropIn)
		return ok
	})
}

// layers are the files of a configuration that is not on disk yet.
type layers struct {
	main []byte
	// dropIn is plomb's; nil: there is none.
	dropIn []byte
	// mended are imported files with another content than on disk.
	mended map[string][]byte
}

// dump is the effective configuration that layers would make. Nothing on disk
// is changed: containerd reads a copy that names each import by itself.
func (n *Node) dump(ctx context.Context, p *place, l layers) (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "plomb-node-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	at := ""
	if l.dropIn != nil {
		at = filepath.Join(dir, dropInName)
		if err := os.WriteFile(at, l.dropIn, 0o600); err != nil {
			return nil, err
		}
	}
	files, err := p.imported(at)
	if err != nil {
		return nil, err
	}
	for i, path := range files {
		if data := l.mended[path]; data != nil {
			files[i] = filepath.Join(dir, fmt.Sprintf("%d.toml", i))
			if err := os.WriteFile(files[i], data, 0o600); err != nil {
				return nil, err
			}
		}
	}
	config := map[string]any{}
	if err := toml.Unmarshal(l.main, &config); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", containerd.ErrConfig, p.main, err)
	}
	if len(config) == 0 {
		config["version"] = 3
	}
	config["imports"] = files
	text, err := toml.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", containerd.ErrConfig, p.main, err)
	}
	shadow := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(shadow, text, 0o600); err != nil {
		return nil, err
	}
	return n.Runtime.Dump(ctx, shadow)
}

// checkFolder refuses a folder of verifiers that blocks every pull. It returns
// the other programs there.
func (p *place) checkFolder() (others []string, err error) {
	entries, err := os.ReadDir(p.binDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	var stray []string
	for _, e := range entries {
		if e.Name() == verifierName {
			continue
		}
		info, err := os.Stat(filepath.Join(p.binDir, e.Name()))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			stray = append(stray, e.Name())
			continue
		}
		others = append(others, e.Name())
	}
	if len(stray) > 0 {
		return nil, fmt.Errorf("%w: %s holds what is no program, and containerd refuses every pull because of it: %s: move it elsewhere",
			ErrFolder, p.binDir, strings.Join(stray, ", "))
	}
	return others, nil
}

// containerdFiles are the drop-in and, where they have to change, the main
// configuration and what it imports, that make containerd what plomb needs. They
// are tried out before they are returned, the drop-in last.
func (n *Node) containerdFiles(ctx context.Context, p *place, require bool) ([]File, error) {
	want := containerd.Want{BinDir: p.binDir}
	if require && !n.Settings.Node.NRI.Off {
		want.RequireNRI = PluginName
	}
	l, files, err := n.mend(p)
	if err != nil {
		return nil, err
	}
	// Mended lines are gone from what the drop-in has to override.
	dump, err := n.dump(ctx, p, l)
	if err != nil {
		return nil, err
	}
	if l.dropIn, err = containerd.DropIn(dump, want); err != nil {
		return nil, err
	}
	if err := n.try(ctx, p, l, want); err != nil {
		return nil, err
	}
	return append(files, File{Path: p.dropIn, Mode: 0o644, Data: l.dropIn}), nil
}

// mend is what is imported now, and the main configuration, each without what
// no drop-in can override, and the latter with the import of the drop-in.
func (n *Node) mend(p *place) (l layers, files []File, err error) {
	l.mended = map[string][]byte{}
	imported, err := p.imported("")
	if err != nil {
		return l, nil, err
	}
	for _, path := range imported {
		now, err := onDisk(path)
		if err != nil || now == nil {
			return l, nil, fmt.Errorf("%w: %s, which %s imports, cannot be read: %w", containerd.ErrConfig, path, p.main, err)
		}
		mended, err := containerd.Mend(now.Data)
		if err != nil {
			return l, nil, fmt.Errorf("%s: %w", path, err)
		}
		if !bytes.Equal(mended, now.Data) {
			l.mended[path] = mended
			files = append(files, File{Path: path, Mode: now.Mode, Data: mended})
		}
	}
	if l.main, err = containerd.Mend(p.mainData); err != nil {
		return l, nil, fmt.Errorf("%s: %w", p.main, err)
	}
	if p.mainData == nil {
		l.main = []byte("version = 3\n")
	}
	if !p.importsDropIn() {
		if l.main, _, err = containerd.Imports(l.main, filepath.Dir(p.dropIn)); err != nil {
			return l, nil, fmt.Errorf("%s: %w", p.main, err)
		}
	}
	if p.mainData == nil || !bytes.Equal(l.main, p.mainData) {
		files = append(files, File{Path: p.main, Mode: p.mainMode, Data: l.main})
	}
	return l, files, nil
}

// undone says which file undoes the drop-in: of those that write a setting the
// last one holds.
func (p *place) undone(f containerd.Finding) string {
	files, err := containerd.Sources(p.main)
	if err != nil {
		return ""
	}
	places := containerd.Where(files, f)
	if len(places) == 0 || places[len(places)-1].File == p.dropIn {
		return ""
	}
	last := places[len(places)-1]
	return fmt.Sprintf("; %s:%d sets it: remove it there", last.File, last.Line)
}

// try has containerd read the new configuration, and demands that it turns
// verification on; for containers as well, if it is to require the agent.
func (n *Node) try(ctx context.Context, p *place, l layers, want containerd.Want) error {
	dump, err := n.dump(ctx, p, l)
	if err != nil {
		return err
	}
	report, err := containerd.Analyse(dump)
	if err != nil {
		return err
	}
	for _, f := range report.Findings {
		if f.Fatal && (want.RequireNRI != "" || f.At != containerd.AtCreate) {
			return fmt.Errorf("%w: %s = %s stays in force with %s: %s%s. It wants:\n%s",
				containerd.ErrConfig, f.Setting, f.Value, p.dropIn, f.Effect, p.undone(f), f.Remedy)
		}
	}
	if report.Facts.BinDir != want.BinDir {
		return fmt.Errorf("%w: bin_dir is %q with %s, want %s", containerd.ErrConfig, report.Facts.BinDir, p.dropIn, want.BinDir)
	}
	return nil
}
