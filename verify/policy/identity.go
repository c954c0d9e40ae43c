// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/opencontainers/go-digest"
)

// An Identity is one welcome signer. Issuer and subject are each compared
// exactly or by regular expression. As in cosign and policy-controller an
// expression may match anywhere: only ^ and $ anchor it.
type Identity struct {
	Issuer        string
	IssuerRegExp  *regexp.Regexp
	Subject       string
	SubjectRegExp *regexp.Regexp
}

// NewIdentity makes an identity of what a policy or a command line says.
// Issuer and subject are both required, each in one of its two forms.
func NewIdentity(issuer, issuerRegExp, subject, subjectRegExp string) (Identity, error) {
	id := Identity{Issuer: issuer, Subject: subject}
	var err1, err2 error
	id.IssuerRegExp, err1 = oneOf("issuer", issuer, issuerRegExp)
	id.SubjectRegExp, err2 = oneOf("subject", subject, subjectRegExp)
	return id, errors.Join(err1, err2)
}

// oneOf compiles expr if it is set, and demands that exactly one of the two is.
func oneOf(name, exact, expr string) (*regexp.Regexp, error) {
	switch {
	case exact == "" && expr == "":
		return nil, fmt.Errorf("%w: an identity needs %s or %sRegExp: without it anybody could sign", ErrInvalid, name, name)
	case exact != "" && expr != "":
		return nil, fmt.Errorf("%w: an identity has both %s and %sRegExp, give one", ErrInvalid, name, name)
	case exact != "":
		return nil, nil
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("%w: %sRegExp: %w", ErrInvalid, name, err)
	}
	return re, nil
}

func matches(exact string, re *regexp.Regexp, got string) bool {
	if re != nil {
		return re.MatchString(got)
	}
	return exact != "" && exact == got
}

// String says what is wanted, in the words of the policy; an expression stands
// between slashes.
func (id Identity) String() string {
	return form(id.Subject, id.SubjectRegExp) + " (issuer " + form(id.Issuer, id.IssuerRegExp) + ")"
}

func form(exact string, re *regexp.Regexp) string {
	if re != nil {
		return "/" + re.String() + "/"
	}
	return exact
}

// ForIdentity is the policy that a command line states with identity flags: it
// matches every image and wants this one signer.
func ForIdentity(id Identity) *Set {
	return fromFlags("identity\n"+id.String(), Authority{
		Name:       "identity-flags",
		Trust:      Trust{Keyless: &KeylessTrust{}},
		Identities: []Identity{id},
	})
}

const commandLine = "command line"

func fromFlags(text string, a Authority) *Set {
	a.Origin = commandLine
	return &Set{
		where:  commandLine,
		digest: digest.FromString(text),
		policies: []Policy{{
			Name: a.Name, Origin: commandLine, Mode: Enforce,
			globs:       []glob{everything()},
			Authorities: []Authority{a},
		}},
	}
}
