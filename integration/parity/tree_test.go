// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"archive/tar"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
)

// A node is what a path of an image is, but for its time.
type node struct {
	Type   string
	Mode   string
	Owner  string // uid:gid
	Link   string // of a symbolic link
	Device string // major:minor
	Digest digest.Digest
	Size   int64
	Xattrs map[string]string
	Names  []string // all of them, where it has several
}

var types = map[byte]string{
	tar.TypeReg: "file", tar.TypeDir: "dir", tar.TypeSymlink: "symlink", tar.TypeLink: "link",
	tar.TypeChar: "char", tar.TypeBlock: "block", tar.TypeFifo: "fifo",
}

func newNode(hdr *tar.Header, content []byte) node {
	n := node{
		Type: types[hdr.Typeflag], Mode: fmt.Sprintf("%04o", hdr.Mode), Owner: fmt.Sprintf("%d:%d", hdr.Uid, hdr.Gid),
		Xattrs: map[string]string{},
	}
	switch hdr.Typeflag {
	case tar.TypeReg:
		n.Digest, n.Size = digest.FromBytes(content), hdr.Size
	case tar.TypeSymlink:
		n.Link = hdr.Linkname
	case tar.TypeChar, tar.TypeBlock:
		n.Device = fmt.Sprintf("%d:%d", hdr.Devmajor, hdr.Devminor)
	}
	for key, value := range hdr.PAXRecords {
		if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			n.Xattrs[name] = value
		}
	}
	return n
}

// tree is the file system that the layers make, one on top of the other
// (https://github.com/opencontainers/image-spec/blob/main/layer.md).
func (i image) tree() map[string]node {
	files := map[string]*node{}
	for _, l := range i.layers {
		below := maps.Clone(files)
		for _, e := range l.entries {
			put(files, below, e)
		}
	}
	names := map[*node][]string{}
	for name, n := range files {
		names[n] = append(names[n], name)
	}
	tree := map[string]node{}
	for name, n := range files {
		flat := *n
		if all := names[n]; len(all) > 1 {
			flat.Names = slices.Sorted(slices.Values(all))
		}
		tree[name] = flat
	}
	return tree
}

// put applies one entry. Whiteouts hide what is below the layer only.
func put(files, below map[string]*node, e entry) {
	name := path.Clean("/" + e.name)
	dir, file := path.Split(name)
	if file == ".wh..wh..opq" {
		hide(files, below, strings.TrimSuffix(dir, "/"), false)
		return
	}
	if hidden, ok := strings.CutPrefix(file, ".wh."); ok {
		hide(files, below, dir+hidden, true)
		return
	}
	if old := files[name]; old != nil && old.Type == "dir" && e.node.Type != "dir" {
		hide(files, below, name, true)
	}
	if e.tar.Typeflag == tar.TypeLink {
		files[name] = files[path.Clean("/"+e.tar.Linkname)]
		return
	}
	n := e.node
	files[name] = &n
}

func hide(files, below map[string]*node, name string, itself bool) {
	for p, n := range below {
		if (itself && p == name || strings.HasPrefix(p, name+"/")) && files[p] == n {
			delete(files, p)
		}
	}
}

func TestTreeOfLayers(t *testing.T) {
	h := func(name string, kind byte, link string) entry {
		hdr := &tar.Header{Name: name, Typeflag: kind, Linkname: link, Mode: 0o644}
		return entry{name: name, tar: hdr, node: newNode(hdr, []byte(name))}
	}
	img := image{layers: []layer{
		{entries: []entry{h("a/", tar.TypeDir, ""), h("a/one", tar.TypeReg, ""), h("a/two", tar.TypeLink, "a/one"), h("gone", tar.TypeReg, ""), h("d/", tar.TypeDir, ""), h("d/x", tar.TypeReg, "")}},
		{entries: []entry{h(".wh.gone", tar.TypeReg, ""), h("d", tar.TypeSymlink, "a"), h("a/three", tar.TypeReg, "")}},
		{entries: []entry{h("a/", tar.TypeDir, ""), h("a/.wh..wh..opq", tar.TypeReg, ""), h("a/four", tar.TypeReg, "")}},
	}}
	require.Equal(t, []string{"/a", "/a/four", "/d"}, slices.Sorted(maps.Keys(img.tree())))
	img.layers = img.layers[:2]
	tree := img.tree()
	require.Equal(t, []string{"/a", "/a/one", "/a/three", "/a/two", "/d"}, slices.Sorted(maps.Keys(tree)))
	require.Equal(t, []string{"/a/one", "/a/two"}, tree["/a/two"].Names)
	require.Equal(t, "a", tree["/d"].Link)
}
