// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"fmt"
	"os"
	"syscall"
)

// checkPrivate refuses a file that belongs to somebody else, or that others can
// read. It looks at what the name leads to.
func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: chown root %s", ErrExposed, path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%w: chmod 600 %s, it has mode %04o", ErrExposed, path, mode)
	}
	return nil
}
