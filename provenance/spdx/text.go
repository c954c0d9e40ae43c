// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/package-url/packageurl-go"
	"github.com/spdx/tools-golang/spdx/v2/common"
)

// Whoever made a package decides what its fields say. These are the longest
// that a document repeats, in bytes; the rest is cut off and an ellipsis says so.
const (
	maxName    = 1 << 10
	maxText    = 4 << 10
	maxLicence = 64 << 10 // of one licence's text
	maxPaths   = 100      // evidence of one package
	maxUnread  = 1000
)

// text makes one line of s: valid UTF-8, no control characters, bounded. A
// character that cannot stay is written as sbom.Path writes a byte.
func text(s string, max int) string {
	return cut(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")), max)
}

// cut shortens s to max bytes, at a character's end.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	const ellipsis = "…"
	end := max - len(ellipsis)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

// agent splits "Organization: X" and "Person: X (mail)". Anything else is
// nobody.
func agent(s string) (kind, name string) {
	kind, name, found := strings.Cut(text(s, maxName), ": ")
	name = strings.TrimSpace(name)
	if !found || name == "" || kind != "Organization" && kind != "Person" {
		return "", ""
	}
	return kind, name
}

// validPURL returns a package URL, or "" if it is none: consumers give up on a
// document for one that is broken.
func validPURL(s string) string {
	if s == "" || len(s) > maxText {
		return ""
	}
	if _, err := packageurl.FromString(s); err != nil || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return s
}

// webAddress returns an address that SPDX takes as homepage or download
// location, or "".
func webAddress(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || len(s) > maxText || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	switch strings.TrimPrefix(u.Scheme, "git+") {
	case "http", "https", "git", "ssh":
		return s
	}
	return ""
}

// digestLengths are the algorithms we pass on, and the length of their digests
// in bytes.
var digestLengths = map[string]int{"MD5": 16, "SHA1": 20, "SHA224": 28, "SHA256": 32, "SHA384": 48, "SHA512": 64}

func checksums(sums map[string]string) []common.Checksum {
	var out []common.Checksum
	for _, algorithm := range slices.Sorted(maps.Keys(sums)) {
		value := strings.ToLower(sums[algorithm])
		if digest, err := hex.DecodeString(value); err == nil && len(digest) == digestLengths[algorithm] && len(digest) > 0 {
			out = append(out, common.Checksum{Algorithm: common.ChecksumAlgorithm(algorithm), Value: value})
		}
	}
	return out
}

// counted is "1 file" or "2 files".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
