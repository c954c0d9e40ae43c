// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrInlineCache reports a build that is to be signed and that asks BuildKit to
// put its cache into the image config afterwards. The signature would be about
// another image.
var ErrInlineCache = errors.New("InlineCache: BuildKit adds an inline cache to the image config after it was signed, so that the signature would not fit")

// refuseInlineCache looks where a frontend can see that the client asks for an
// inline cache. It cannot see --cache-to type=inline.
func refuseInlineCache(args map[string]string) error {
	if on, _ := strconv.ParseBool(args["BUILDKIT_INLINE_CACHE"]); !on {
		return nil
	}
	return fmt.Errorf("BUILDKIT_INLINE_CACHE: %w: leave the argument out and use --cache-to type=registry, or say PLOMB_SIGN=off", ErrInlineCache)
}
