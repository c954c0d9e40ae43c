// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// plain looks at paths as they are written: what is behind a link is not at the
// path of the link. It is asked about paths in their order, and keeps the
// folders above the last one open: to begin at the root for each path would
// take a hundred thousands of system calls for a large layer.
type plain struct {
	depth int
	open  []folder // from the root to the one asked about last
}

type folder struct {
	path string // "" for the root
	root *os.Root
}

func newPlain(t *tree, depth int) *plain {
	return &plain{depth: depth, open: []folder{{root: t.root}}}
}

// close closes the folders, and not the tree.
func (l *plain) close() { l.leave("") }

// leave closes folders that dir is not in.
func (l *plain) leave(dir string) {
	for len(l.open) > 1 {
		last := l.open[len(l.open)-1]
		if dir == last.path || strings.HasPrefix(dir, last.path+"/") {
			return
		}
		last.root.Close()
		l.open = l.open[:len(l.open)-1]
	}
}

func (l *plain) lstat(p string) (fs.FileInfo, error) {
	p = path.Clean("/" + p)
	dir, base := path.Split(p)
	dir = strings.TrimSuffix(dir, "/")
	if base == "" {
		base = "."
	}
	l.leave(dir)
	last := l.open[len(l.open)-1]
	rest := strings.TrimPrefix(dir[len(last.path):], "/")
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if err := l.enter(part); err != nil {
			return nil, err
		}
	}
	return l.open[len(l.open)-1].root.Lstat(base)
}

func (l *plain) enter(part string) error {
	if len(l.open) > l.depth {
		return fmt.Errorf("more than %d folders deep", l.depth)
	}
	last := l.open[len(l.open)-1]
	info, err := last.root.Lstat(part)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fs.ErrNotExist
	}
	sub, err := last.root.OpenRoot(part)
	if err != nil {
		return err
	}
	l.open = append(l.open, folder{path: last.path + "/" + part, root: sub})
	return nil
}
