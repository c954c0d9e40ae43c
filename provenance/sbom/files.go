// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// ErrUnsorted reports a list of files that is not in ascending order of paths.
var ErrUnsorted = errors.New("list of files is not sorted")

// A FileLayer is what one layer has to say about regular files.
type FileLayer struct {
	// Files are the regular files of the base image, or those that the layer
	// wrote, in ascending order of paths and each once.
	Files iter.Seq2[File, error]
	// Gone is the Report's.
	Gone []string
}

// MergeFiles puts the lists of an image's layers together: the base image
// first, then each layer as it lies on the ones before. Files come in ascending
// order of paths.
//
// A file that a layer wrote anew without saying whose it is still belongs to
// the package it belonged to, unless it was deleted in between: a changed
// configuration file is the package's, a replacement is not.
//
// One file of each layer is in memory, and the Gone of all layers.
func MergeFiles(layers []FileLayer) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		m := newFileMerger(layers)
		defer m.stop()
		for {
			path, more, err := m.next()
			if err != nil {
				yield(File{}, err)
				return
			}
			if !more {
				return
			}
			file, there, err := m.take(path)
			if err != nil {
				yield(File{}, err)
				return
			}
			if there && !yield(file, nil) {
				return
			}
		}
	}
}

// A fileMerger reads all lists side by side.
type fileMerger struct {
	heads []head
	// gone has the layers, ascending, in which a path went.
	gone map[string][]int
	// open are the files that the next paths could be below of.
	open []opened
}

// A head is the next file of one layer's list.
type head struct {
	pull func() (File, error, bool)
	stop func()
	file File
	last string
	any  bool // something was read
	done bool
}

// opened is a path that is a file in a layer.
type opened struct {
	path  string
	layer int // the highest one
}

func newFileMerger(layers []FileLayer) *fileMerger {
	m := &fileMerger{gone: map[string][]int{}}
	for i, layer := range layers {
		h := head{stop: func() {}, done: layer.Files == nil}
		if layer.Files != nil {
			h.pull, h.stop = iter.Pull2(layer.Files)
		}
		m.heads = append(m.heads, h)
		for _, path := range layer.Gone {
			if list := m.gone[path]; len(list) == 0 || list[len(list)-1] != i {
				m.gone[path] = append(list, i)
			}
		}
	}
	return m
}

func (m *fileMerger) stop() {
	for _, h := range m.heads {
		h.stop()
	}
}

// next returns the first path that any list still has.
func (m *fileMerger) next() (path string, more bool, err error) {
	for i := range m.heads {
		h := &m.heads[i]
		if !h.done && !h.any {
			if err := h.advance(); err != nil {
				return "", false, err
			}
		}
		if !h.done && (!more || h.file.Path < path) {
			path, more = h.file.Path, true
		}
	}
	return path, more, nil
}

// advance reads the next file of a list.
func (h *head) advance() error {
	file, err, ok := h.pull()
	switch {
	case !ok:
		h.done = true
		return nil
	case err != nil:
		return err
	case h.any && file.Path <= h.last:
		return fmt.Errorf("%w: %q comes after %q", ErrUnsorted, file.Path, h.last)
	}
	h.any, h.file, h.last = true, file, file.Path
	return nil
}

// take consumes path from all lists that have it and says what is there in the
// end.
func (m *fileMerger) take(path string) (file File, there bool, err error) {
	gone := m.goneAt(path)
	m.close(path)
	top := -1
	for i := range m.heads {
		h := &m.heads[i]
		if h.done || h.file.Path != path {
			continue
		}
		kept := there && !slices.ContainsFunc(gone, func(layer int) bool { return top < layer && layer <= i })
		owner := ""
		if kept {
			owner = file.Owner
		}
		file, there, top = h.file, true, i
		file.Owner = cmp.Or(file.Owner, owner)
		if err := h.advance(); err != nil {
			return File{}, false, err
		}
	}
	if len(gone) > 0 && slices.Max(gone) > top {
		there = false
	}
	for _, o := range m.open {
		there = there && (o.layer <= top || !strings.HasPrefix(path, o.path+"/"))
	}
	m.open = append(m.open, opened{path, top})
	return file, there, nil
}

// goneAt lists the layers in which path or a folder above it went.
func (m *fileMerger) goneAt(path string) []int {
	if len(m.gone) == 0 {
		return nil
	}
	layers := slices.Clone(m.gone[path])
	for up := range above(path) {
		layers = append(layers, m.gone[up]...)
	}
	return layers
}

// close leaves in open only what path is below of. Everything below p lies
// between p/ and p0, for 0 comes after / in ASCII; between p and p/ there may
// be others, such as p-old, so what is open is a stack.
func (m *fileMerger) close(path string) {
	for len(m.open) > 0 {
		last := m.open[len(m.open)-1].path
		if path < last+"0" {
			break
		}
		m.open = m.open[:len(m.open)-1]
	}
}
