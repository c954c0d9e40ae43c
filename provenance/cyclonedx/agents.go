// SPDX-License-Identifier: Apache-2.0

package cyclonedx

import (
	"cmp"
	"regexp"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/plombproject/plomb/provenance/sbom"
)

// withMail is "Jane Doe (jane@example.com)".
var withMail = regexp.MustCompile(`^(.*\S) \(([A-Za-z0-9.!#$%&'*+/=?^_{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)\)$`)

// contact is a person's name and address.
func contact(name string) cdx.OrganizationalContact {
	if found := withMail.FindStringSubmatch(name); found != nil {
		return cdx.OrganizationalContact{Name: found[1], Email: found[2]}
	}
	return cdx.OrganizationalContact{Name: name}
}

func personOf(c cdx.OrganizationalContact) string {
	switch {
	case c.Name != "" && c.Email != "":
		return sbom.Person + ": " + c.Name + " (" + c.Email + ")"
	case c.Name != "" || c.Email != "":
		return sbom.Person + ": " + cmp.Or(c.Name, c.Email)
	}
	return ""
}

// entity is an agent where CycloneDX wants an organisation. A person is one
// with a contact of the same name.
func entity(agent string) *cdx.OrganizationalEntity {
	kind, name := sbom.Agent(agent)
	switch kind {
	case sbom.Organization:
		return &cdx.OrganizationalEntity{Name: name}
	case sbom.Person:
		person := contact(name)
		return &cdx.OrganizationalEntity{Name: person.Name, Contact: &[]cdx.OrganizationalContact{person}}
	}
	return nil
}

func agentOf(e *cdx.OrganizationalEntity) string {
	if e == nil {
		return ""
	}
	for _, c := range all(e.Contact) {
		if c.Name == e.Name || e.Name == "" {
			return personOf(c)
		}
	}
	if e.Name == "" {
		return ""
	}
	return sbom.Organization + ": " + e.Name
}

// authors is an agent where CycloneDX wants persons.
func authors(agent string) *[]cdx.OrganizationalContact {
	if kind, name := sbom.Agent(agent); kind == sbom.Person {
		return &[]cdx.OrganizationalContact{contact(name)}
	}
	return nil
}

// manufacturer is an agent that is an organisation, where a person would be
// among the authors.
func manufacturer(agent string) *cdx.OrganizationalEntity {
	if kind, _ := sbom.Agent(agent); kind == sbom.Organization {
		return entity(agent)
	}
	return nil
}

// makerOf is the author or, failing that, the manufacturer.
func makerOf(persons *[]cdx.OrganizationalContact, organisation *cdx.OrganizationalEntity) string {
	for _, person := range all(persons) {
		if name := personOf(person); name != "" {
			return name
		}
	}
	return agentOf(organisation)
}
