// SPDX-License-Identifier: Apache-2.0

package cel

import (
	"errors"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// Names of variables.
const (
	VarImage        = "image"
	VarSignature    = "signature"
	VarSignatures   = "signatures"
	VarProvenance   = "provenance"
	VarAttestations = "attestations"
	VarConfig       = "config"
	VarSBOM         = "sbom"
	VarNow          = "now"
)

// variables are what an expression can look at, and of which type they are.
var variables = map[string]*cel.Type{
	VarImage:        imageType.cel,
	VarSignature:    signatureType.cel,
	VarSignatures:   cel.ListType(signatureType.cel),
	VarProvenance:   cel.DynType,
	VarAttestations: cel.MapType(cel.StringType, cel.ListType(cel.DynType)),
	VarConfig:       cel.DynType,
	VarSBOM:         sbomType.cel,
	VarNow:          cel.TimestampType,
}

// Variables lists the variables and their types in CEL's words.
func Variables() map[string]string {
	list := map[string]string{}
	for name, t := range variables {
		list[name] = t.String()
	}
	return list
}

// Fields lists the fields of the types of our own, as type to field to type.
func Fields() map[string]map[string]string {
	list := map[string]map[string]string{}
	for name, t := range recordTypes {
		fields := map[string]string{}
		for f, field := range t.fields {
			fields[f] = field.cel.String()
		}
		list[name] = fields
	}
	return list
}

// An Image is the value of image.
type Image struct {
	Name, Repository, Tag     string
	Digest, Manifest, ImageID string
	OS, Architecture, Variant string
}

// A Signature is the value of signature, and an element of signatures.
type Signature struct {
	// Kind is signature or attestation.
	Kind, PredicateType string
	Issuer, Subject     string
	Extensions          map[string]string
	Serial, Key, X509   string
	// SignedAt is zero where nothing trusted vouches for a time. Looking at it
	// then fails.
	SignedAt time.Time
	Logged   bool
}

// A Package is an element of sbom.packages.
type Package struct {
	Name, Version, PURL string
	Licenses            []string
	Supplier            string
}

var errNoTime = errors.New("the signature has no trusted time: no such key: signedAt")

var (
	imageType = newRecordType("Image", map[string]field{
		"name":       text(func(i *Image) string { return i.Name }),
		"repository": text(func(i *Image) string { return i.Repository }),
		"tag":        text(func(i *Image) string { return i.Tag }),
		"digest":     text(func(i *Image) string { return i.Digest }),
		"manifest":   text(func(i *Image) string { return i.Manifest }),
		"imageID":    text(func(i *Image) string { return i.ImageID }),
		"platform":   of(platformType.cel, func(i *Image) ref.Val { return &record{platformType, i} }),
	})
	platformType = newRecordType("Platform", map[string]field{
		"os":           text(func(i *Image) string { return i.OS }),
		"architecture": text(func(i *Image) string { return i.Architecture }),
		"variant":      text(func(i *Image) string { return i.Variant }),
	})
	signatureType = newRecordType("Signature", map[string]field{
		"kind":          text(func(s *Signature) string { return s.Kind }),
		"predicateType": text(func(s *Signature) string { return s.PredicateType }),
		"issuer":        text(func(s *Signature) string { return s.Issuer }),
		"subject":       text(func(s *Signature) string { return s.Subject }),
		"extensions": of(cel.MapType(cel.StringType, cel.StringType), func(s *Signature) ref.Val {
			return types.NewStringStringMap(adapter, s.Extensions)
		}),
		"serial": text(func(s *Signature) string { return s.Serial }),
		"key":    text(func(s *Signature) string { return s.Key }),
		"x509":   text(func(s *Signature) string { return s.X509 }),
		"logged": of(cel.BoolType, func(s *Signature) ref.Val { return types.Bool(s.Logged) }),
		"signedAt": of(cel.TimestampType, func(s *Signature) ref.Val {
			if s.SignedAt.IsZero() {
				return types.WrapErr(errNoTime)
			}
			return types.Timestamp{Time: s.SignedAt}
		}),
	})
	sbomType = newRecordType("SBOM", map[string]field{
		"packages": of(cel.ListType(packageType.cel), func(p *[]Package) ref.Val {
			return list(packageType, *p)
		}),
	})
	packageType = newRecordType("Package", map[string]field{
		"name":     text(func(p *Package) string { return p.Name }),
		"version":  text(func(p *Package) string { return p.Version }),
		"purl":     text(func(p *Package) string { return p.PURL }),
		"supplier": text(func(p *Package) string { return p.Supplier }),
		"licenses": of(cel.ListType(cel.StringType), func(p *Package) ref.Val {
			return types.NewStringList(adapter, p.Licenses)
		}),
	})
	recordTypes = map[string]*recordType{
		imageType.cel.TypeName(): imageType, platformType.cel.TypeName(): platformType, signatureType.cel.TypeName(): signatureType,
		sbomType.cel.TypeName(): sbomType, packageType.cel.TypeName(): packageType,
	}
)

// ImageValue makes the value of image.
func ImageValue(i Image) any { return &record{imageType, &i} }

// SignatureValue makes the value of signature.
func SignatureValue(s Signature) any { return &record{signatureType, &s} }

// SignaturesValue makes the value of signatures.
func SignaturesValue(s []Signature) any { return list(signatureType, s) }

// SBOMValue makes the value of sbom.
func SBOMValue(packages []Package) any {
	return &record{sbomType, &packages}
}

// DocumentValue makes the value of a document that was read from JSON: of
// provenance or config.
func DocumentValue(document any) any { return adapter.NativeToValue(document) }

// AttestationsValue makes the value of attestations: predicates by their types.
func AttestationsValue(predicates map[string][]any) any { return adapter.NativeToValue(predicates) }

// TimeValue makes the value of now.
func TimeValue(t time.Time) any { return types.Timestamp{Time: t} }
