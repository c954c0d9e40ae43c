// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// snapshotAt names the snapshot that is mounted at p: its root directory was
// made with it, and lives as long. It is "" where that cannot be told, and the
// same for all where snapshots are made below the filesystem, as by btrfs or
// devmapper: there, steps that ran again are not told apart.
func snapshotAt(p string) string {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, p, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_BTIME, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return ""
	}
	return fmt.Sprintf("%d-%d.%09d", st.Ino, st.Btime.Sec, st.Btime.Nsec)
}

// OfOneRun reports whether each step was sealed over the very snapshot that the
// step before was sealed from. If not, one of the two ran again in between,
// and what they wrote may not belong together.
func OfOneRun(reports []*Report) bool {
	for i := 1; i < len(reports); i++ {
		below, above := reports[i-1].Upper, reports[i].Lower
		if below != "" && above != "" && below != above {
			return false
		}
	}
	return true
}
