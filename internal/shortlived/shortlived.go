// SPDX-License-Identifier: Apache-2.0

// Package shortlived spares a program that ends soon the garbage collector: it
// collects nothing before Memory is used, and from then on as always. Programs
// import it for that effect alone.
//
// Go collects for the first time after 4 MiB, which packages that a verifier
// links with (expression languages, Sigstore's) have used up before main: a
// third of the processor time of a call was collections of what was still
// needed, or of what the end of the process frees for nothing.
package shortlived

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
)

// Memory is how much the program uses before garbage is collected, in bytes: an
// order of magnitude more than the verification of an image takes.
const Memory = 64 << 20

// sentinel is garbage from the beginning, so that the first collection calls
// its finalizer.
type sentinel struct{ _ *byte }

func init() {
	// Who has set the collector up means it.
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		postpone(Memory)
	}
}

// postpone puts the first collection off until memory is used, which is what
// the memory limit without the usual pace means (runtime/debug.SetMemoryLimit).
// That collection ends the limit: kept, it would make a program that really
// needs more collect all the time.
func postpone(memory int64) {
	percent := debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memory)
	runtime.SetFinalizer(&sentinel{}, func(*sentinel) {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(math.MaxInt64)
	})
}
