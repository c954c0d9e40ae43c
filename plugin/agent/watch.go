// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/plombproject/plomb/plugin/settings"
)

const (
	// pollTime is how often the files are looked at where nobody tells of
	// changes, such as on a network file system.
	pollTime = 10 * time.Second
	// settleTime is how long after the first news of a change it is acted on:
	// who writes several files is done by then.
	settleTime = 100 * time.Millisecond
	// maxWatched bounds how many files and folders are looked at.
	maxWatched = 4096
)

// places are the files and folders that policy and trust come from.
func places(s settings.Settings) []string {
	return []string{s.Policy, s.TrustedRoot, settings.DefaultTrustedRoot, s.Trust, s.Notation}
}

// fingerprint says what the files look like without reading them: names, links,
// sizes, times and inodes. Files that are replaced by rename, and folders whose
// link is turned as Kubernetes does it, get another one.
func fingerprint(s settings.Settings) string {
	var b strings.Builder
	seen := 0
	for _, place := range places(s) {
		if place == "" {
			continue
		}
		look(&b, place, &seen, 0)
	}
	return b.String()
}

func look(b *strings.Builder, path string, seen *int, depth int) {
	if *seen++; *seen > maxWatched || depth > 6 {
		return
	}
	info, err := os.Stat(path) // through links
	if err != nil {
		fmt.Fprintf(b, "%s %v\n", path, err)
		return
	}
	var inode, ctime any
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		inode, ctime = stat.Ino, stat.Ctim
	}
	fmt.Fprintf(b, "%s %s %d %d %v %v\n", path, info.Mode(), info.Size(), info.ModTime().UnixNano(), inode, ctime)
	if !info.IsDir() {
		return
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		fmt.Fprintf(b, "%s %v\n", path, err)
	}
	for _, e := range entries {
		look(b, filepath.Join(path, e.Name()), seen, depth+1)
	}
}

// watch reloads at every change until ctx ends. It works by looking at the files
// every now and then; being told of changes makes it quick.
func (r *reloader) watch(ctx context.Context) {
	var events chan fsnotify.Event
	var failures chan error
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		r.log.Warn("nobody tells of changed files; they are looked at instead", "every", pollTime, "error", err)
	} else {
		defer watcher.Close()
		events, failures = watcher.Events, watcher.Errors
		r.follow(watcher)
		r.reload() // what changed before anybody told
	}
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			if settled == nil {
				settled = time.After(settleTime)
			}
			continue
		case <-failures: // such as an overflow: look
		case <-settled:
			settled = nil
		case <-poll.C:
		}
		r.reload()
		if watcher != nil {
			r.follow(watcher)
		}
	}
}

// follow watches the folders as they are now, and those that they are links to
// or lie in. What cannot be watched is polled.
func (r *reloader) follow(w *fsnotify.Watcher) {
	add := func(dir string) { _ = w.Add(dir) }
	for _, place := range places(r.settings) {
		if place == "" {
			continue
		}
		add(filepath.Dir(place))
		folders := 0
		_ = filepath.WalkDir(place, func(path string, e fs.DirEntry, err error) error {
			if folders++; err != nil || folders > maxWatched {
				return fs.SkipAll
			}
			if e.IsDir() {
				add(path)
			} else if e.Type()&fs.ModeSymlink != 0 {
				if target, err := filepath.EvalSymlinks(path); err == nil {
					add(target)
				}
			}
			return nil
		})
	}
}
