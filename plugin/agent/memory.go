// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/internal/limit"
)

const (
	// memoryLimit is what Go tries to stay below, in bytes: the agent is to fit
	// into 64 MB beside what else is on a node, and up to 36 of them are the program itself.
	memoryLimit = 24 << 20
	// gcPercent is how much garbage there may be beside what is in use.
	gcPercent = 50
	// maxMaps bounds the list of what is mapped, in bytes.
	maxMaps = 4 << 20
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
}

// giveBack returns what only the start, or a self-test, has used: garbage, and
// pages of the program itself. Those are copies of its file; what is needed again
// comes back from there. Half of a large program is used once, to set up tables
// of formats that no image on the node may ever have.
func giveBack() {
	debug.FreeOSMemory()
	maps, err := limit.ReadFile("/proc/self/smaps", maxMaps)
	if err != nil {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	for _, part := range copies(string(maps), self) {
		// Advice: if it is not taken, nothing is lost.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, part.from, part.to-part.from, unix.MADV_DONTNEED)
	}
}

// part is some of the process' memory.
type part struct{ from, to uintptr }

// copies finds in proc_pid_smaps(5) what is exactly as the file has it: mapped
// without the right to write, and none of it "Anonymous", as relocated data of a
// position-independent program is, which cannot be had again from the file.
func copies(maps, file string) []part {
	var found []part
	var candidate *part
	for line := range strings.Lines(maps) {
		if p, ok := readOnly(line, file); ok {
			candidate = &p
			continue
		}
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || candidate == nil:
		case !strings.HasSuffix(fields[0], ":"): // the next part
			candidate = nil
		case fields[0] == "Anonymous:":
			if len(fields) == 3 && fields[1] == "0" {
				found = append(found, *candidate)
			}
			candidate = nil
		}
	}
	return found
}

// readOnly finds a part of the file that is mapped without the right to write.
func readOnly(line, file string) (p part, ok bool) {
	fields := strings.Fields(line)
	if len(fields) != 6 || fields[5] != file || fields[1] != "r-xp" && fields[1] != "r--p" {
		return p, false
	}
	if n, err := fmt.Sscanf(fields[0], "%x-%x", &p.from, &p.to); err != nil || n != 2 || p.to <= p.from {
		return p, false
	}
	return p, true
}
