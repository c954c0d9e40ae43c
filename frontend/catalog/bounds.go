// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"slices"
	"sync"
)

// What a hostile image may cost. Whatever is beyond one of these is in the
// report as unread.
const (
	// maxEntries is how many files, folders and links are looked at: an ext4
	// filesystem of 80 GB has no more inodes.
	maxEntries = 5_000_000
	// maxFolderEntries is how many there may be in one folder, which is in
	// memory at once, with about 400 bytes each.
	maxFolderEntries = 1_000_000
	// maxDepth is how deep folders may nest. A file descriptor is open for each.
	maxDepth = 256
	// maxPath is the longest path in bytes, PATH_MAX of Linux.
	maxPath = 4096
	// maxTotal is how many bytes the files have together that readers are
	// given: more than the largest images, in which it is data that is large.
	maxTotal = 64 << 30
	// maxHashed is the largest file that is hashed. A hole costs time as well.
	maxHashed = 64 << 30
	// maxFiles is how many files are listed with digests, in about 600 bytes of
	// memory each. A document of them all would be far beyond what BuildKit
	// exports as an attestation.
	maxFiles = 1_000_000
	// maxPerFile is how many packages one file may tell of: ten times what the
	// largest installations of a distribution have.
	maxPerFile = 50_000
	// maxContent is how many bytes of JSON the packages of a report may be: a
	// hundred times those of a root filesystem with 3,000 packages. A package
	// counts as leastContent at least, so that maxPackages is how many there
	// can be. Twice that is in memory at most.
	maxContent   = 192 << 20
	leastContent = 1 << 10
	maxPackages  = maxContent / leastContent
	// maxGone is how many bytes the paths that are gone may be.
	maxGone = 32 << 20
	// maxUnread is how many entries tell of something unread; one more says how
	// many others there were.
	maxUnread = 1000
	// maxReason is the longest reason in bytes.
	maxReason = 300
	// maxText is the longest text in one field of a package in bytes, and
	// maxList the longest list.
	maxText = 16 << 10
	maxList = 10_000
	// MaxReport is the size of the largest report in bytes that is read: what
	// may be in it according to the bounds above, and some room.
	MaxReport = 256 << 20
	// maxLine is the longest line of a list of files in bytes: a path of which
	// every byte is escaped, twice, and what is beside it.
	maxLine = 64 << 10
)

// settings are the bounds that a tree can reach in earnest, and the readers:
// tests have smaller ones.
type settings struct {
	readers                             []reader
	owning                              []owning
	entries, unread, content, files     int
	folderEntries, depth, path, perFile int
	total, hashed                       int64
}

func defaults() settings {
	return settings{
		readers: readers(), owning: ownings(),
		entries: maxEntries, unread: maxUnread, content: maxContent, files: maxFiles,
		folderEntries: maxFolderEntries, depth: maxDepth, path: maxPath, perFile: maxPerFile,
		total: maxTotal, hashed: maxHashed,
	}
}

// A lowest keeps the first of many items in sorted order, as many as weigh no
// more than max together: the same ones in whatever order they arrive.
type lowest[T any] struct {
	max     int
	compare func(a, b T) int
	weigh   func(T) int

	mu      sync.Mutex
	items   []T
	weight  int
	dropped int
}

func (l *lowest[T]) add(item T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items = append(l.items, item)
	l.weight += l.weigh(item)
	if l.weight > 2*l.max {
		l.cut()
	}
}

func (l *lowest[T]) cut() {
	slices.SortStableFunc(l.items, l.compare)
	weight, keep := 0, 0
	for keep < len(l.items) {
		more := l.weigh(l.items[keep])
		if weight+more > l.max {
			break
		}
		weight += more
		keep++
	}
	l.dropped += len(l.items) - keep
	clear(l.items[keep:])
	l.items, l.weight = l.items[:keep], weight
}

// sorted returns what was kept, and how many were not.
func (l *lowest[T]) sorted() ([]T, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut()
	return l.items, l.dropped
}
