// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/package-url/packageurl-go"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// A signedIdentity compares the name that was signed with the name that is
// asked for, as containers-policy.json(5) has it
// (https://github.com/containers/image/blob/main/docs/containers-policy.json.5.md).
// It keeps an image that was signed for one purpose from being served under the
// name of another.
type signedIdentity struct {
	kind string
	// wanted is dockerReference or dockerRepository.
	wanted reference.Named
	// prefix and signedPrefix are those of remapIdentity.
	prefix, signedPrefix string
}

func (*signedIdentity) name() string { return conditionSignedIdentity }

// identityKinds say which fields each type needs.
var identityKinds = map[string][]string{
	"matchExact":             nil,
	"matchRepoDigestOrExact": nil,
	"matchRepository":        nil,
	"exactReference":         {"dockerReference"},
	"exactRepository":        {"dockerRepository"},
	"remapIdentity":          {"prefix", "signedPrefix"},
}

func buildSignedIdentity(b *builder, p *spec.ImagePolicy) {
	s := p.SignedIdentity
	if s == nil {
		return
	}
	fields, known := identityKinds[s.Type]
	if !known {
		b.fault(s.At, "signedIdentity.type %q is not known", s.Type)
		return
	}
	for name, value := range map[string]string{
		"dockerReference": s.DockerReference, "dockerRepository": s.DockerRepository, "prefix": s.Prefix, "signedPrefix": s.SignedPrefix,
	} {
		if (value != "") != slices.Contains(fields, name) {
			b.fault(s.At, "signedIdentity.%s: %s needs %v and nothing else", name, s.Type, fields)
		}
	}
	id := &signedIdentity{kind: s.Type, prefix: s.Prefix, signedPrefix: s.SignedPrefix}
	if err := id.read(s); err != nil {
		b.fault(s.At, "signedIdentity: %w", err)
	}
	b.add(s.At, id)
}

func (id *signedIdentity) read(s *spec.SignedIdentity) (err error) {
	switch s.Type {
	case "exactReference":
		if id.wanted, err = reference.ParseNormalizedNamed(s.DockerReference); err == nil && reference.IsNameOnly(id.wanted) {
			err = fmt.Errorf("dockerReference %q has neither tag nor digest: use exactRepository", s.DockerReference)
		}
	case "exactRepository":
		if id.wanted, err = reference.ParseNormalizedNamed(s.DockerRepository); err == nil && !reference.IsNameOnly(id.wanted) {
			err = fmt.Errorf("dockerRepository %q has a tag or a digest: use exactReference", s.DockerRepository)
		}
	case "remapIdentity":
		for _, prefix := range []string{s.Prefix, s.SignedPrefix} {
			if err := validPrefix(prefix); err != nil {
				return err
			}
		}
	}
	return err
}

// validPrefix: a host, with a port, or the beginning of a repository's name in
// full, by whole components.
func validPrefix(prefix string) error {
	named, err := reference.ParseNormalizedNamed(prefix + "/x")
	if err != nil || named.String() != prefix+"/x" {
		return fmt.Errorf("prefix %q: want a registry's host, or a repository or folder in it by its full name", prefix)
	}
	return nil
}

func (id *signedIdentity) check(_ context.Context, f *facts) (time.Time, error) {
	asked, err := reference.ParseNormalizedNamed(f.c.Name)
	if strings.HasPrefix(f.c.Name, layoutScheme) || err != nil {
		return time.Time{}, refuse(ErrSignedName, "say with --name which name it will have", "%s is no name in a registry", f.c.Name)
	}
	asked = reference.TagNameOnly(asked)
	var signed []string
	for _, c := range f.approvals() {
		for _, name := range c.Names {
			named := referenceOf(name)
			if named == nil {
				continue
			}
			if id.matches(asked, named) {
				return time.Time{}, nil
			}
			signed = append(signed, named.String())
		}
	}
	if len(signed) == 0 {
		return time.Time{}, refuse(ErrNoSignedName, "sign it with a name: cosign sign by name, PLOMB_REPOSITORY for plomb", "asked for %s", f.c.Name)
	}
	return time.Time{}, refuse(ErrSignedName, "sign it under the name that it is used by", "asked for %s, signed for %s (%s)", f.c.Name, strings.Join(signed, ", "), id.kind)
}

// referenceOf reads a name as signers write it: a reference, or a package URL
// of type docker, as BuildKit names its subjects. Nil: it is something else.
func referenceOf(name string) reference.Named {
	if strings.HasPrefix(name, "pkg:") {
		name = dockerName(name)
	}
	// "image-id" and the like parse as well, as short names of Docker Hub;
	// they are names of plomb's subjects and of no image.
	if name == "" || name == "image-id" || name == "manifest" {
		return nil
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil
	}
	return named
}

// dockerName is the reference that a package URL of type docker or oci stands
// for, with its tag; "" for others.
func dockerName(uri string) string {
	p, err := packageurl.FromString(uri)
	if err != nil || p.Name == "" {
		return ""
	}
	name := p.Name
	if p.Namespace != "" {
		name = p.Namespace + "/" + name
	}
	host := p.Qualifiers.Map()["repository_url"]
	switch p.Type {
	case packageurl.TypeDocker:
		if host != "" {
			name = strings.TrimPrefix(strings.TrimPrefix(host, "https://"), "http://") + "/" + name
		}
	case packageurl.TypeOCI:
		// "repository_url: a repository URL where the artifact may be found":
		// the whole name.
		if name = host; name == "" {
			return ""
		}
	default:
		return ""
	}
	if p.Version == "" || strings.Contains(p.Version, ":") {
		return name // a digest says nothing about the name
	}
	return name + ":" + p.Version
}

func (id *signedIdentity) matches(asked, signed reference.Named) bool {
	switch id.kind {
	case "matchExact":
		return sameReference(asked, signed)
	case "matchRepoDigestOrExact":
		return repoDigestOrExact(asked, signed)
	case "matchRepository":
		return asked.Name() == signed.Name()
	case "exactReference":
		return sameReference(id.wanted, signed)
	case "exactRepository":
		return id.wanted.Name() == signed.Name()
	case "remapIdentity":
		mapped := id.remap(asked)
		return mapped != nil && repoDigestOrExact(mapped, signed)
	}
	return false
}

// sameReference: "the identity in the signature must exactly match". A bare
// repository matches nothing, not even itself: it could be any image in it.
func sameReference(a, b reference.Named) bool {
	return !reference.IsNameOnly(a) && !reference.IsNameOnly(b) && a.String() == b.String()
}

// repoDigestOrExact: "if the image identity carries a tag, the identity in the
// signature must exactly match; if the image identity uses a digest reference,
// the identity in the signature must be in the same repository".
func repoDigestOrExact(asked, signed reference.Named) bool {
	if _, ok := asked.(reference.Digested); ok {
		return asked.Name() == signed.Name()
	}
	return sameReference(asked, signed)
}

// remap replaces the prefix of the name that is asked for: "if the image
// identity matches the specified prefix, that prefix is replaced by the
// specified signedPrefix, otherwise it is used as unchanged".
func (id *signedIdentity) remap(asked reference.Named) reference.Named {
	rest, found := strings.CutPrefix(asked.String(), id.prefix)
	// Whole components: example.com/a is no prefix of example.com/ab.
	if !found || rest != "" && !strings.ContainsAny(rest[:1], "/:@") {
		return asked
	}
	// host:5000 does not begin with host.
	if strings.HasPrefix(rest, ":") && !strings.Contains(id.prefix, "/") {
		return asked
	}
	mapped, err := reference.ParseNamed(id.signedPrefix + rest)
	if err != nil {
		return nil
	}
	return mapped
}
