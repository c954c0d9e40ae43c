// SPDX-License-Identifier: Apache-2.0

//go:build integration

package keyed

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// step runs in the build that is watched. The frontend knows its text.
const step = "env; mount; sleep 1"

// sightings are what watch saw.
type sightings struct {
	leaks   []string // files below /proc
	helpers []string // sub-commands of the frontend that ran
	scans   int      // how often the frontend's memory was read, and had what it must have
}

// watch looks through the command lines and environments of all processes, and
// through the memory of the frontend, until ctx ends.
func watch(ctx context.Context, needles [][]byte) <-chan sightings {
	done := make(chan sightings, 1)
	go func() {
		scanned := make(chan sightings)
		go func() {
			var s sightings
			for ctx.Err() == nil {
				each("/proc/[0-9]*/cmdline", func(path string, data []byte) {
					if string(data) == "/plomb-frontend\x00" {
						s.scan(filepath.Dir(path), needles)
					}
				})
			}
			scanned <- s
		}()
		var s sightings
		for ctx.Err() == nil {
			each("/proc/[0-9]*/cmdline", func(path string, data []byte) { s.look(path, data, needles) })
			each("/proc/[0-9]*/environ", func(path string, data []byte) { s.look(path, data, needles) })
		}
		more := <-scanned
		s.leaks, s.scans = append(s.leaks, more.leaks...), more.scans
		done <- s
	}()
	return done
}

// each hands over the files that match. Those of processes that have ended are
// left out.
func each(pattern string, do func(path string, data []byte)) {
	paths, _ := filepath.Glob(pattern)
	for _, path := range paths {
		if data, err := os.ReadFile(path); err == nil {
			do(path, data)
		}
	}
}

func (s *sightings) look(path string, data []byte, needles [][]byte) {
	if holds(data, needles) {
		s.leaks = append(s.leaks, path)
	}
	args := strings.Split(string(data), "\x00")
	if args[0] == "/plomb-frontend" && args[1] != "" && !slices.Contains(s.helpers, args[1]) {
		s.helpers = append(s.helpers, args[1])
	}
}

// scan reads the writable memory of a process.
func (s *sightings) scan(process string, needles [][]byte) {
	maps, err := os.ReadFile(filepath.Join(process, "maps"))
	if err != nil {
		return
	}
	memory, err := os.Open(filepath.Join(process, "mem"))
	if err != nil {
		return
	}
	defer memory.Close()
	known := false
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") || to-from > 256<<20 {
			continue
		}
		data := make([]byte, to-from)
		n, _ := memory.ReadAt(data, from)
		if holds(data[:n], needles) {
			s.leaks = append(s.leaks, process+"/mem")
		}
		known = known || bytes.Contains(data[:n], []byte(step))
	}
	if known {
		s.scans++
	}
}
