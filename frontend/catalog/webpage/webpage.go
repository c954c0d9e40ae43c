// SPDX-License-Identifier: Apache-2.0

// Package webpage tells addresses that a browser opens from the other things
// that package files have in the field for the home page.
package webpage

import (
	"net/url"
	"strings"
)

// maxAddress is the longest address in bytes; browsers do not take much more.
const maxAddress = 2048

// First is the first of the texts that is an address, or "".
func First(texts ...string) string {
	for _, text := range texts {
		if text = strings.TrimSpace(text); isAddress(text) {
			return text
		}
	}
	return ""
}

func isAddress(text string) bool {
	if len(text) > maxAddress || strings.ContainsAny(text, " <>\"\\^`{|}") {
		return false
	}
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}
