// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"iter"
	"strings"
)

// paths is a set of absolute paths.
type paths map[string]bool

func pathSet(list []string) paths {
	set := make(paths, len(list))
	for _, path := range list {
		set[path] = true
	}
	return set
}

// covers reports whether path or a folder above it is in the set.
func (s paths) covers(path string) bool {
	if s[path] {
		return true
	}
	for up := range above(path) {
		if s[up] {
			return true
		}
	}
	return false
}

// above yields the folders that path is in, the nearest first and the root
// last.
func above(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			slash := strings.LastIndexByte(path, '/')
			if slash <= 0 {
				if slash == 0 && path != "/" {
					yield("/")
				}
				return
			}
			path = path[:slash]
			if !yield(path) {
				return
			}
		}
	}
}
