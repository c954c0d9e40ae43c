// SPDX-License-Identifier: Apache-2.0

package license

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

const (
	// refPrefix is ours, so that no other document's references are mistaken
	// for the ones declared here.
	refPrefix = "LicenseRef-plomb-"
	// maxText is the size in bytes up to which a licence text is kept; 64 KiB
	// holds every licence of the SPDX list.
	maxText = 64 << 10
	// maxRef is the size of the readable part of an id.
	maxRef = 40
)

var (
	// idString: "letters, numbers, . and/or -" (SPDX 2.3, clause 10.1.2).
	notID = regexp.MustCompile(`[^A-Za-z0-9.]+`)
	// hashed is how ids end that carry a digest; no other id may look so.
	hashed = regexp.MustCompile(`(^|-)[0-9a-f]{16}$`)
	// foreign are references that the package itself gives, as Fedora does:
	// LicenseRef-Fedora-Public-Domain.
	foreign = regexp.MustCompile(`^LicenseRef-[A-Za-z0-9.-]{1,80}$`)
)

// ref declares a text that is no licence of the list. Two texts never share an
// id: where the id cannot spell the text exactly it has the text's digest.
func (d declared) ref(text string) expr {
	if foreign.MatchString(text) && !strings.HasPrefix(strings.ToLower(text), strings.ToLower(refPrefix)) {
		d[text] = text
		return leaf(text)
	}
	id := refPrefix + refName(text)
	d[id] = bounded(text)
	return leaf(id)
}

func refName(text string) string {
	readable := strings.Trim(notID.ReplaceAllString(text[:min(len(text), 4*maxRef)], "-"), "-.")
	if readable == text && len(text) <= maxRef && !hashed.MatchString(text) {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	digest := hex.EncodeToString(sum[:8])
	if len(text) > maxName || readable == "" {
		return digest
	}
	return strings.TrimRight(readable[:min(len(readable), maxRef)], "-.") + "-" + digest
}

func bounded(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "")
}
