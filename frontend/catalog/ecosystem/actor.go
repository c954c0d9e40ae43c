// SPDX-License-Identifier: Apache-2.0

package ecosystem

import (
	"regexp"
	"strings"
)

// team are words in the names of those who are not one person.
var team = regexp.MustCompile(`(?i)\b(teams?|developers?|maintainers?|groups?|project|packag(?:ers?|ing)|debian|ubuntu|foundation|inc|ltd|gmbh|llc|corporation|company|core|list|task ?force|strike ?force)\b`)

// Actor turns "Name <mail>", as databases have maintainers, into SPDX's form:
// "Person: Name (mail)", or "Organization: Name" for a team. "" stays "".
func Actor(maintainer string) string {
	name, rest, _ := strings.Cut(maintainer, "<")
	mail, _, _ := strings.Cut(rest, ">")
	name, mail = strings.Trim(name, " \t\""), strings.TrimSpace(mail)
	switch {
	case name == "" && mail == "":
		return ""
	case team.MatchString(name):
		return "Organization: " + name
	case name == "":
		return "Person: " + mail
	case mail == "":
		return "Person: " + name
	}
	return "Person: " + name + " (" + mail + ")"
}
