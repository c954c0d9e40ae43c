// SPDX-License-Identifier: Apache-2.0

package bindir

import (
	"strings"
	"unicode/utf8"

	"github.com/plombproject/plomb/plugin/admission"
)

// MaxReason bounds the reason, in bytes: containerd puts it into an error that
// ends, cut, in a Kubernetes event.
const MaxReason = 300

// Reason is the outcome on one line of at most MaxReason bytes. The digest is
// shortened: containerd's own message has it in full.
func Reason(out admission.Outcome) string {
	line := out.Line()
	if long := out.Decision.Image.Digest.String(); len(long) > 19 {
		line = strings.Replace(line, long, long[:19]+"…", 1)
	}
	if len(line) <= MaxReason {
		return line
	}
	const ellipsis = "…"
	cut := MaxReason - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(line[cut]) {
		cut--
	}
	return line[:cut] + ellipsis
}
