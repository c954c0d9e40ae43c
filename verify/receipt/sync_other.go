// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package receipt

import "os"

// syncData makes what was written last.
func syncData(f *os.File) error { return f.Sync() }
