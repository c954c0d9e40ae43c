// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"os"
	"syscall"
)

// syncData makes what was written last, with the size of the file: fdatasync(2)
// leaves out only what is not needed to read it again.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
