// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/plombproject/plomb/verify/decision"
)

// faults are what is wrong now, by where.
type faults struct {
	log *slog.Logger

	mu  sync.Mutex
	now map[string]string
}

func newFaults(log *slog.Logger) *faults { return &faults{log: log, now: map[string]string{}} }

// set notes that something is wrong, or with nil that it no longer is, and logs
// it when that is new.
func (f *faults) set(where string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		if _, was := f.now[where]; was {
			f.log.Info("mended", "fault", where)
			delete(f.now, where)
		}
		return
	}
	text := decision.OneLine(err.Error())
	if f.now[where] != text {
		f.log.Error("fault", "fault", where, "error", text)
		f.now[where] = text
	}
}

// list are all, a line each.
func (f *faults) list() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []string{}
	for _, where := range slices.Sorted(maps.Keys(f.now)) {
		list = append(list, f.now[where])
	}
	return list
}
