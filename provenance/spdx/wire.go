// SPDX-License-Identifier: Apache-2.0

package spdx

// The members of an SPDX document that Read looks at. tools-golang's own types
// keep escapes in names as they stand in the JSON and drop what is left out, so
// reading has its own.
type wireDocument struct {
	SPDXVersion          string             `json:"spdxVersion"`
	SPDXID               string             `json:"SPDXID"`
	Name                 string             `json:"name"`
	Namespace            string             `json:"documentNamespace"`
	CreationInfo         wireCreation       `json:"creationInfo"`
	ExternalDocumentRefs []wireDocumentRef  `json:"externalDocumentRefs"`
	Describes            []string           `json:"documentDescribes"`
	Packages             []wirePackage      `json:"packages"`
	Files                []wireFile         `json:"files"`
	Licences             []wireLicence      `json:"hasExtractedLicensingInfos"`
	Relationships        []wireRelationship `json:"relationships"`
}

type wireCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
	Comment  string   `json:"comment"`
}

type wireDocumentRef struct {
	ID       string       `json:"externalDocumentId"`
	URI      string       `json:"spdxDocument"`
	Checksum wireChecksum `json:"checksum"`
}

type wireChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type wirePackage struct {
	ID           string           `json:"SPDXID"`
	Name         string           `json:"name"`
	Version      string           `json:"versionInfo"`
	Supplier     string           `json:"supplier"`
	Originator   string           `json:"originator"`
	Download     string           `json:"downloadLocation"`
	Declared     string           `json:"licenseDeclared"`
	Concluded    string           `json:"licenseConcluded"`
	Homepage     string           `json:"homepage"`
	Summary      string           `json:"summary"`
	SourceInfo   string           `json:"sourceInfo"`
	Purpose      string           `json:"primaryPackagePurpose"`
	Checksums    []wireChecksum   `json:"checksums"`
	ExternalRefs []wireReference  `json:"externalRefs"`
	Annotations  []wireAnnotation `json:"annotations"`
}

type wireReference struct {
	Type    string `json:"referenceType"`
	Locator string `json:"referenceLocator"`
}

type wireAnnotation struct {
	Comment string `json:"comment"`
}

type wireFile struct {
	ID   string `json:"SPDXID"`
	Name string `json:"fileName"`
}

type wireLicence struct {
	ID   string `json:"licenseId"`
	Text string `json:"extractedText"`
}

type wireRelationship struct {
	From    string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	To      string `json:"relatedSpdxElement"`
	Comment string `json:"comment"`
}
