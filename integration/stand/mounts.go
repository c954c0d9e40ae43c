// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mounts lists what is mounted below the stand's folder, the innermost first.
func (l layout) mounts() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("reading the mount table: %w", err)
	}
	list := mountsBelow(string(data), l.dir, l.outside())
	slices.Reverse(list)
	return list, nil
}

// mountsBelow takes mount points out of proc_pid_mountinfo(5): "(5) mount
// point: the pathname of the mount point relative to the process's root
// directory", with blanks and backslashes as octal escapes.
func mountsBelow(mountinfo string, dirs ...string) []string {
	var list []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := unescapeOctal(fields[4])
		for _, dir := range dirs {
			if strings.HasPrefix(point, dir+"/") {
				list = append(list, point)
			}
		}
	}
	return list
}

func unescapeOctal(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// unmount detaches what is mounted below the stand. Lazily: a process in
// another mount namespace may still use it, and the stand's own are gone.
func (l layout) unmount() error {
	// Mounts stack, and some only show once others are gone.
	for range 5 {
		list, err := l.mounts()
		if err != nil || len(list) == 0 {
			return err
		}
		for _, point := range list {
			if err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("unmounting %s: %w", point, err)
			}
		}
	}
	left, err := l.mounts()
	if err != nil || len(left) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s", ErrStillMounted, strings.Join(left, ", "))
}
