// SPDX-License-Identifier: Apache-2.0

package npm

import (
	"encoding/json"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/actor"
	"github.com/plombproject/plomb/frontend/catalog/license"
	"github.com/plombproject/plomb/frontend/catalog/webpage"
)

// maxLicenses is how many entries of the old list of licences are looked at.
const maxLicenses = 100

// text is a field that is text, "" for any other.
func (m manifest) text(field string) string { return text(m[field]) }

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return strings.TrimSpace(s)
}

// licenses: an SPDX expression or a name in "license"; old packages have an
// object {type, url} there, or a list of them in "licenses", of which the user
// may choose one ("dual licensed").
func (m manifest) licenses() (string, map[string]string) {
	var names []string
	for _, field := range []string{"license", "licenses", "licence"} {
		for _, raw := range list(m[field]) {
			if name := licenseName(raw); name != "" {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			break
		}
	}
	return license.Any(names)
}

func licenseName(raw json.RawMessage) string {
	if name := text(raw); name != "" {
		return name
	}
	var old struct {
		Type, Name, URL json.RawMessage
	}
	_ = json.Unmarshal(raw, &old) // neither text nor object: says nothing
	for _, raw := range []json.RawMessage{old.Type, old.Name, old.URL} {
		if name := text(raw); name != "" {
			return name
		}
	}
	return ""
}

// list is the entries of a list, or what is none as the only entry.
func list(raw json.RawMessage) []json.RawMessage {
	var entries []json.RawMessage
	if json.Unmarshal(raw, &entries) != nil {
		return []json.RawMessage{raw}
	}
	return entries[:min(len(entries), maxLicenses)]
}

func (m manifest) author() string { return person(m["author"]) }

// maintainer is the first one.
func (m manifest) maintainer() string {
	for _, raw := range list(m["maintainers"]) {
		if who := person(raw); who != "" {
			return who
		}
	}
	return ""
}

// person: "Name <mail> (url)", or an object of the three.
func person(raw json.RawMessage) string {
	if who := text(raw); who != "" {
		return actor.Parse(who)
	}
	var who struct{ Name, Email json.RawMessage }
	_ = json.Unmarshal(raw, &who) // neither text nor object: nobody
	return actor.New(text(who.Name), text(who.Email))
}

// homepage is the package's, or else its repository's if that is an address
// that a browser opens.
func (m manifest) homepage() string {
	repository := m.text("repository")
	if repository == "" {
		var r struct{ URL json.RawMessage }
		_ = json.Unmarshal(m["repository"], &r) // neither text nor object: none
		repository = text(r.URL)
	}
	repository = strings.TrimSuffix(strings.TrimPrefix(repository, "git+"), ".git")
	return webpage.First(m.text("homepage"), repository)
}
