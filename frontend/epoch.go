// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"bytes"
	"strconv"
	"time"
)

const epochArg = "SOURCE_DATE_EPOCH"

// takeEpoch removes SOURCE_DATE_EPOCH from args and returns its time, so that a
// new commit time alone runs no step again: BuildKit's Dockerfile library gives
// it to the folders that WORKDIR makes. Sealed layers do not hold it anyway,
// and the config gets it from us.
//
// Where the Dockerfile speaks of it, it wants the value; and one that is no
// number is the library's to resolve. Then nothing is taken.
func takeEpoch(args map[string]string, dockerfile []byte) *time.Time {
	seconds, err := strconv.ParseInt(args[epochArg], 10, 64)
	if err != nil || bytes.Contains(dockerfile, []byte(epochArg)) {
		return nil
	}
	delete(args, epochArg)
	t := time.Unix(seconds, 0).UTC()
	return &t
}
