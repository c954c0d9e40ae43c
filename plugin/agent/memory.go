// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// memoryLimit is what Go tries to stay below, in bytes: the agent is to fit
	// into 64 MB beside what else is on a node, and about 36 of them are the program itself.
	memoryLimit = 24 << 20
	// gcPercent is how much garbage there may be beside what is in use.
	gcPercent = 50
)

// longLived has garbage collected as a program needs it that does not end. The
// plomb program puts collections off (internal/shortlived); what it has
// postponed is made up for first, since that sets the collector up again.
// Who has set GOGC or GOMEMLIMIT means it.
func longLived() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	for range 100 {
		runtime.GC()
		if debug.SetMemoryLimit(-1) == math.MaxInt64 {
			break
		}
		time.Sleep(time.Millisecond) // it is done by a finalizer
	}
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	debug.FreeOSMemory()
}
