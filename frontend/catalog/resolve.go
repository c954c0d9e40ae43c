// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
)

// maxLinks is how many links are followed on the way to one file, as in the
// Linux kernel (path_resolution(7)).
const maxLinks = 40

// inside returns a path of the image as os.Root wants it: relative, clean.
func inside(name string) (string, error) {
	p := strings.TrimPrefix(path.Clean("/"+name), "/")
	switch {
	case strings.IndexByte(p, 0) >= 0:
		return "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	case p == "":
		return ".", nil
	}
	return p, nil
}

// find returns where the file is after all links, and what it is.
func (t *tree) find(name string) (string, fs.FileInfo, error) {
	p, err := inside(name)
	if err != nil {
		return "", nil, err
	}
	// os.Root follows links that are relative and stay inside. The others are
	// errors for it, while in a container they begin or stay at its root.
	info, err := t.root.Stat(p)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return p, info, err
	}
	p, err = t.resolve(p)
	if err != nil {
		return "", nil, err
	}
	info, err = t.root.Lstat(p)
	return p, info, err
}

// resolve returns the path without links, as a process whose root is the
// tree's would follow them: an absolute link begins at the root, and no ".."
// goes above it.
func (t *tree) resolve(name string) (string, error) {
	var done []string
	todo := strings.Split(name, "/")
	links := 0
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = done[:max(len(done)-1, 0)]
			continue
		}
		at := path.Join(append(slices.Clone(done), part)...)
		info, err := t.root.Lstat(at)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			if len(todo) > 0 && !info.IsDir() {
				return "", &fs.PathError{Op: "open", Path: name, Err: syscall.ENOTDIR}
			}
			done = append(done, part)
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "open", Path: name, Err: syscall.ELOOP}
		}
		target, err := t.root.Readlink(at)
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(target, "/") {
			done = nil
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	if len(done) == 0 {
		return ".", nil
	}
	return path.Join(done...), nil
}

// linked returns where p leads, and whether there is a link in it.
func (t *tree) linked(p string) (resolved string, through bool, err error) {
	rel, err := inside(p)
	if err != nil {
		return "", false, err
	}
	resolved, err = t.resolve(rel)
	return "/" + resolved, err == nil && resolved != rel, err
}
