// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy/cel"
)

// ruleValues are the variables of rules, converted once for all rules.
type ruleValues struct {
	predicates   memo[map[string][]any]
	documents    map[int]any // of claims, by index; see facts.document
	cel          cel.Values
	celSpeakers  map[int]any
	celDocuments map[int]any
}

// A speaker is the claim that the variables signature and provenance of one
// evaluation are about; -1 is nobody.
type speaker struct {
	index int
	claim *claim.Claim
}

// String says of whom a rule was asked, to stand at the end of a message.
func (s speaker) String() string {
	if s.claim == nil {
		return ""
	}
	return " (of what " + s.claim.Signer.String() + " signed)"
}

// speakers are whom a rule has to be asked about. A rule about provenance is
// about who signed that; one about signature alone is about who approves of the
// image; one about neither is asked once.
func (f *facts) speakers(p program) ([]speaker, error) {
	var wanted func(claim.Claim) bool
	switch {
	case p.mentions(cel.VarProvenance):
		if _, err := f.builds(); err != nil {
			return nil, err
		}
		wanted = func(c claim.Claim) bool { return c.PredicateType == provenance.PredicateSLSA1 }
	case p.mentions(cel.VarSignature):
		only := len(f.signatures()) > 0
		wanted = func(c claim.Claim) bool { return c.IsSignature() || !only }
	default:
		return []speaker{{index: -1}}, nil
	}
	var list []speaker
	for i := range f.claims {
		if wanted(f.claims[i]) {
			list = append(list, speaker{i, &f.claims[i]})
		}
	}
	if len(list) == 0 {
		return nil, refuse(ErrRuleAnswer, "have it signed", "nobody has signed the image, and the rule is about a signature")
	}
	return list, nil
}

// document is the predicate of a claim.
func (f *facts) document(index int) (any, error) {
	if doc, ok := f.rules.documents[index]; ok {
		return doc, nil
	}
	var doc any
	c := f.claims[index]
	if err := strictjson.UnmarshalOpen(c.Predicate, &doc); err != nil {
		return nil, refuse(ErrRuleAnswer, "attest it again", "the %s from %s: %w", c.PredicateType, c.Signer, err)
	}
	if f.rules.documents == nil {
		f.rules.documents = map[int]any{}
	}
	f.rules.documents[index] = doc
	return doc, nil
}

// attestations are all predicates by their types.
func (f *facts) attestations() (map[string][]any, error) {
	return f.rules.predicates.get(func() (map[string][]any, error) {
		all := map[string][]any{}
		for i, c := range f.claims {
			if c.PredicateType == "" || len(c.Predicate) == 0 {
				continue
			}
			doc, err := f.document(i)
			if err != nil {
				return nil, err
			}
			all[c.PredicateType] = append(all[c.PredicateType], doc)
		}
		return all, nil
	})
}

// celValues are the variables for one evaluation. Each is made when the first
// rule that mentions it is evaluated.
func (f *facts) celValues(ctx context.Context, p program, s speaker) (cel.Values, error) {
	v := &f.rules
	if v.cel == nil {
		v.cel, v.celSpeakers, v.celDocuments = cel.Values{}, map[int]any{}, map[int]any{}
		v.cel[cel.VarImage] = cel.ImageValue(imageOf(f.c))
		v.cel[cel.VarNow] = cel.TimeValue(minute(f.c.Now))
	}
	for _, variable := range []struct {
		name  string
		value func() (any, error)
	}{
		{cel.VarSignatures, func() (any, error) { return cel.SignaturesValue(signaturesOf(f.claims)), nil }},
		{cel.VarAttestations, func() (any, error) { all, err := f.attestations(); return cel.AttestationsValue(all), err }},
		{cel.VarConfig, func() (any, error) { doc, err := f.configDocument(ctx); return cel.DocumentValue(doc), err }},
		{cel.VarSBOM, func() (any, error) { list, err := f.packages(ctx); return cel.SBOMValue(packagesOf(list)), err }},
	} {
		if _, made := v.cel[variable.name]; made || !p.mentions(variable.name) {
			continue
		}
		value, err := variable.value()
		if err != nil {
			return nil, err
		}
		v.cel[variable.name] = value
	}
	delete(v.cel, cel.VarSignature)
	delete(v.cel, cel.VarProvenance)
	if s.claim == nil {
		return v.cel, nil
	}
	if v.celSpeakers[s.index] == nil {
		v.celSpeakers[s.index] = cel.SignatureValue(signatureOf(*s.claim))
	}
	v.cel[cel.VarSignature] = v.celSpeakers[s.index]
	if p.mentions(cel.VarProvenance) {
		if v.celDocuments[s.index] == nil {
			doc, err := f.document(s.index)
			if err != nil {
				return nil, err
			}
			v.celDocuments[s.index] = cel.DocumentValue(doc)
		}
		v.cel[cel.VarProvenance] = v.celDocuments[s.index]
	}
	return v.cel, nil
}

// regoInput is the same as JSON.
func (f *facts) regoInput(ctx context.Context, p program, s speaker) ([]byte, error) {
	input := map[string]any{"image": jsonImage(imageOf(f.c)), "now": minute(f.c.Now).Format(time.RFC3339), "signatures": jsonSignatures(f.claims)}
	var err error
	if p.mentions(cel.VarAttestations) {
		if input[cel.VarAttestations], err = f.attestations(); err != nil {
			return nil, err
		}
	}
	if p.mentions(cel.VarConfig) {
		if input[cel.VarConfig], err = f.configDocument(ctx); err != nil {
			return nil, err
		}
	}
	if p.mentions(cel.VarSBOM) {
		list, err := f.packages(ctx)
		if err != nil {
			return nil, err
		}
		input[cel.VarSBOM] = map[string]any{"packages": list}
	}
	if s.claim != nil {
		input[cel.VarSignature] = jsonSignature(*s.claim)
		if p.mentions(cel.VarProvenance) {
			if input[cel.VarProvenance], err = f.document(s.index); err != nil {
				return nil, err
			}
		}
	}
	return json.Marshal(input)
}

func imageOf(c Case) cel.Image {
	i := cel.Image{
		Name: c.Name, Digest: c.Digest.String(), Manifest: c.Manifest.String(), ImageID: c.ImageID.String(),
		OS: c.Platform.OS, Architecture: c.Platform.Architecture, Variant: c.Platform.Variant,
	}
	if named, err := reference.ParseNormalizedNamed(c.Name); err == nil && !strings.HasPrefix(c.Name, layoutScheme) {
		i.Repository = named.Name()
		if t, ok := reference.TagNameOnly(named).(reference.Tagged); ok {
			i.Tag = t.Tag()
		}
	}
	return i
}

func jsonImage(i cel.Image) map[string]any {
	return map[string]any{
		"name": i.Name, "repository": i.Repository, "tag": i.Tag, "digest": i.Digest, "manifest": i.Manifest, "imageID": i.ImageID,
		"platform": map[string]string{"os": i.OS, "architecture": i.Architecture, "variant": i.Variant},
	}
}

func signatureOf(c claim.Claim) cel.Signature {
	return cel.Signature{
		Kind: string(c.Kind), PredicateType: c.PredicateType, Issuer: c.Signer.Issuer, Subject: c.Signer.Subject, Extensions: c.Signer.Extensions,
		Serial: c.Signer.Serial, Key: c.Signer.Key.String(), X509: c.Signer.X509, SignedAt: c.SignedAt, Logged: c.Logged,
	}
}

func signaturesOf(claims []claim.Claim) []cel.Signature {
	list := make([]cel.Signature, len(claims))
	for i, c := range claims {
		list[i] = signatureOf(c)
	}
	return list
}

// jsonSignature leaves signedAt out where there is no trusted time: a module
// that compares it comes to no result then.
func jsonSignature(c claim.Claim) map[string]any {
	s := map[string]any{
		"kind": c.Kind, "predicateType": c.PredicateType, "issuer": c.Signer.Issuer, "subject": c.Signer.Subject, "extensions": c.Signer.Extensions,
		"serial": c.Signer.Serial, "key": c.Signer.Key, "x509": c.Signer.X509, "logged": c.Logged,
	}
	if c.Signer.Extensions == nil {
		s["extensions"] = map[string]string{}
	}
	if !c.SignedAt.IsZero() {
		s["signedAt"] = c.SignedAt.UTC().Format(time.RFC3339)
	}
	return s
}

func jsonSignatures(claims []claim.Claim) []any {
	list := make([]any, len(claims))
	for i, c := range claims {
		list[i] = jsonSignature(c)
	}
	return list
}

func packagesOf(list []listed) []cel.Package {
	packages := make([]cel.Package, len(list))
	for i, p := range list {
		packages[i] = cel.Package{Name: p.Name, Version: p.Version, PURL: p.PURL, Licenses: p.Licenses, Supplier: p.Supplier}
	}
	return packages
}
