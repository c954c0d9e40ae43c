// SPDX-License-Identifier: Apache-2.0

// Package actor spells who made or supplies a package as SPDX does:
// "Person: Jane Doe (jane@example.org)" or "Organization: Example Foundation"
// (SPDX 2.3, clauses 7.5 and 7.6). It does not check that they exist.
package actor

import (
	"cmp"
	"regexp"
	"strings"
	"unicode"
)

// maxName is the longest name in bytes that is kept; a longer one is prose.
const maxName = 200

var (
	mailbox = regexp.MustCompile(`[<(]?\s*([A-Za-z0-9._%+-]+@[A-Za-z0-9][A-Za-z0-9.-]*[A-Za-z0-9])\s*[>)]?`)
	address = regexp.MustCompile(`[<(]?\s*[a-z]+://[^\s<>()]+\s*[>)]?`)
)

// together are words that people have in no name of their own.
var together = words("inc incorporated corp corporation ltd limited llc gmbh foundation project team group authors contributors " +
	"developers maintainers community company organization organisation institute university consortium association authority " +
	"committee software lab labs technologies systems ecosystem packager packagers")

func words(text string) map[string]bool {
	out := map[string]bool{}
	for _, word := range strings.Fields(text) {
		out[word] = true
	}
	return out
}

func isTogether(name string) bool {
	for _, word := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) }) {
		if together[word] {
			return true
		}
	}
	return false
}

// Parse reads "Name <mail> (url)", as package files write it. It returns "" if
// there is no name and no mail.
func Parse(text string) string { return New(text, "") }

// New is for a name and a mail address, either of which may be empty. Where
// the name has an address in it, that stands in for one.
func New(name, mail string) string {
	if m := mailbox.FindStringSubmatch(name); m != nil {
		name = strings.Replace(name, m[0], " ", 1)
		mail = cmp.Or(mail, m[1])
	}
	name = clean(address.ReplaceAllString(name, " "))
	if m := mailbox.FindStringSubmatch(mail); m != nil {
		mail = m[1]
	} else {
		mail = ""
	}
	switch {
	case name == "" && mail == "":
		return ""
	case name == "":
		return "Person: " + mail
	}
	kind := "Person: "
	if isTogether(name) {
		kind = "Organization: "
	}
	if mail == "" {
		return kind + name
	}
	return kind + name + " (" + mail + ")"
}

// Organization is for a name that is known to be one of many together.
func Organization(name string) string {
	if name = clean(name); name == "" {
		return ""
	}
	return "Organization: " + name
}

// clean leaves out what would read as the mail address, and names that say
// that there is none.
func clean(name string) string {
	name = strings.NewReplacer("(", " ", ")", " ", "<", " ", ">", " ", `"`, " ").Replace(name)
	name = strings.Trim(strings.Join(strings.Fields(strings.ToValidUTF8(name, "\uFFFD")), " "), " ,;")
	if len(name) > maxName {
		return ""
	}
	switch strings.ToLower(name) {
	case "unknown", "none", "n/a", "noassertion":
		return ""
	}
	return name
}
