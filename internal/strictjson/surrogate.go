// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"fmt"
	"strconv"
	"unicode/utf16"
)

// checkEscapes refuses half of a surrogate pair. RFC 8259, section 8.2, calls
// what decoders make of it unpredictable; encoding/json puts U+FFFD in its place.
// data is otherwise valid JSON, so backslashes are in strings only.
func checkEscapes(data []byte) error {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++ // what is escaped is no backslash of its own
		first, ok := escapedRune(data, i)
		if !ok || !utf16.IsSurrogate(first) {
			continue
		}
		second, _ := escapedRune(data, i+6)
		if i+5 >= len(data) || data[i+5] != '\\' || utf16.DecodeRune(first, second) == '\ufffd' {
			return fmt.Errorf("%w: half of a surrogate pair at byte %d", ErrStrict, i-1)
		}
		i += 10
	}
	return nil
}

// escapedRune reads uXXXX at i.
func escapedRune(data []byte, i int) (rune, bool) {
	if i+5 > len(data) || data[i] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(data[i+1:i+5]), 16, 16)
	return rune(n), err == nil
}
