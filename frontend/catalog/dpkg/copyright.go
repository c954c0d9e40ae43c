// SPDX-License-Identifier: Apache-2.0

package dpkg

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/frontend/catalog/license"
)

const (
	// maxCopyright is the largest copyright file in bytes; Chromium's has 3 MB.
	maxCopyright = 8 << 20
	// maxCopyrights is how many bytes of them are read for one database. All of
	// Debian's desktop has some 40 MB.
	maxCopyrights = 1 << 30
)

// licenses finds what packages are licensed under. Packages of one source often
// have the same copyright file.
type licenses struct {
	tree  ecosystem.Tree
	known map[string]licensed // by names of licences
	left  int64               // bytes that may still be read
}

type licensed struct {
	expression string
	refs       map[string]string
}

func newLicenses(t ecosystem.Tree) *licenses {
	return &licenses{tree: t, known: map[string]licensed{}, left: maxCopyrights}
}

// of returns "" if there is no copyright file, as in images that leave
// documentation out, or if it cannot be understood.
func (l *licenses) of(name string) (string, map[string]string) {
	if l.left < 0 {
		return "", nil
	}
	data, err := l.tree.ReadAll(docCopyright(name), maxCopyright)
	if err != nil {
		return "", nil
	}
	l.left -= int64(len(data))
	found := licenseNames(data)
	if len(found) == 0 {
		return "", nil
	}
	key := strings.Join(found, "\n")
	known, ok := l.known[key]
	if !ok {
		known.expression, known.refs = license.FromDebian(found)
		l.known[key] = known
	}
	return known.expression, known.refs
}

// licenseNames lists the short names of licences in a copyright file, sorted.
func licenseNames(data []byte) []string {
	var out []string
	if isDEP5(data) {
		out = dep5(data)
	} else {
		out = mentioned(data)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// isDEP5 reports whether the file is in the machine-readable format 1.0 or one
// of its drafts.
//
// "Format: Required single-line: URI of the format specification".
func isDEP5(data []byte) bool {
	head := data[:min(len(data), 2048)]
	for line := range bytes.Lines(head) {
		field, value, ok := bytes.Cut(line, []byte(":"))
		if ok && (bytes.EqualFold(field, []byte("Format")) || bytes.EqualFold(field, []byte("Format-Specification"))) {
			value = bytes.ToLower(value)
			return bytes.Contains(value, []byte("copyright-format")) || bytes.Contains(value, []byte("dep5")) || bytes.Contains(value, []byte("dep-5"))
		}
	}
	return false
}

// dep5 lists the licences of paragraphs about files, and of the header.
// Paragraphs with nothing but a licence are its text. Paragraphs are read
// leniently: this is documentation, and many break the format somewhere.
func dep5(data []byte) []string {
	var out []string
	paragraph := struct {
		names []string
		files bool
	}{files: true} // the header is about all files
	end := func() {
		if paragraph.files {
			out = append(out, paragraph.names...)
		}
		paragraph.names, paragraph.files = nil, false
	}
	open := false // the name of the licence may be on the next line
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, " \t\r\n")
		field, value, isField := bytes.Cut(line, []byte(":"))
		switch {
		case len(line) == 0:
			end()
			open = false
		case line[0] == ' ' || line[0] == '\t':
			if open {
				paragraph.names = append(paragraph.names, string(bytes.TrimSpace(line)))
			}
			open = false
		case isField && bytes.EqualFold(field, []byte("License")):
			if value = bytes.TrimSpace(value); len(value) > 0 {
				paragraph.names = append(paragraph.names, string(value))
			}
			open = len(value) == 0
		case isField:
			paragraph.files = paragraph.files || bytes.EqualFold(field, []byte("Files"))
			open = false
		}
	}
	end()
	return out
}

var (
	version = regexp.MustCompile(`(?i)\bversion\s+([0-9](?:\.[0-9])?)\b`)
	common  = regexp.MustCompile(`/usr/share/common-licenses/([A-Za-z0-9][A-Za-z0-9.+-]*[A-Za-z0-9])`)
	later   = regexp.MustCompile(`(?i)\bany\s+later\s+version`)
)

// mentioned lists the licences whose text the file refers to. Of the GNU
// licences that says at most the version, and for the newest not even that;
// whether a later one will do is what the notice says.
func mentioned(data []byte) []string {
	var out []string
	orLater, only := later.Match(data), onlyVersion(data)
	for _, m := range common.FindAllSubmatch(data, -1) {
		name := string(m[1])
		if name == "BSD" {
			name = "BSD-3-clause" // the text there is that of the University of California
		}
		if newest.MatchString(name) && only != "" {
			name += "-" + only
		}
		if gnu.MatchString(name) && orLater {
			name += "+"
		}
		out = append(out, name)
	}
	return out
}

// onlyVersion returns the version that the file speaks of, if it is one.
func onlyVersion(data []byte) string {
	found := ""
	for _, m := range version.FindAllSubmatch(data, -1) {
		if v := string(m[1]); found == "" || v == found {
			found = v
		} else {
			return ""
		}
	}
	return found
}

var (
	newest = regexp.MustCompile(`^(L?GPL|GFDL)$`)
	gnu    = regexp.MustCompile(`^(L?GPL|GFDL)-[0-9.]+$`)
)
