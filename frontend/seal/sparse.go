// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyData makes the empty file dst have in's content. Between two *os.File,
// io.Copy is copy_file_range, which shares extents where the filesystem can.
// It would fill in's holes with zeros, so they are stepped over.
func copyData(dst, in *os.File, st *syscall.Stat_t) error {
	const block = 512 // bytes in a unit of st_blocks, stat(2)
	if st.Blocks*block >= st.Size {
		_, err := io.Copy(dst, in)
		return err
	}
	for end := int64(0); end < st.Size; {
		start, err := in.Seek(end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // nothing but a hole is left
		}
		if err != nil {
			return err
		}
		if end, err = in.Seek(start, unix.SEEK_HOLE); err != nil {
			return err
		}
		if err := copyPart(dst, in, start, end-start); err != nil {
			return err
		}
	}
	return dst.Truncate(st.Size)
}

func copyPart(dst, in *os.File, at, length int64) error {
	if _, err := in.Seek(at, io.SeekStart); err != nil {
		return err
	}
	if _, err := dst.Seek(at, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(dst, io.LimitReader(in, length))
	return err
}
