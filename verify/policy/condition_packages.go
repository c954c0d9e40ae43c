// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"github.com/plombproject/plomb/verify/policy/spec"
	"github.com/plombproject/plomb/verify/policy/vers"
)

// packageBans refuse images that contain certain packages, as their signed
// SBOMs say: an emergency stop that needs no new scan.
type packageBans struct{ bans []packageBan }

type packageBan struct {
	at     spec.Origin
	purl   packageurl.PackageURL
	in     *vers.Range
	reason string
}

func (*packageBans) name() string { return conditionPackages }

func buildPackages(b *builder, p *spec.ImagePolicy) {
	if p.Packages == nil {
		return
	}
	bans := &packageBans{}
	for _, s := range p.Packages.Deny {
		ban := packageBan{at: s.At, reason: s.Reason}
		var err error
		if ban.purl, err = packageurl.FromString(s.PURL); err != nil {
			b.fault(s.At, "purl %q: %w", s.PURL, err)
			continue
		}
		if ban.purl.Version != "" {
			b.fault(s.At, "purl %q has a version: say =%s under versions", s.PURL, ban.purl.Version)
		}
		if ban.in, err = vers.Parse(ban.purl.Type, s.Versions); err != nil {
			b.fault(s.At, "versions of %s: %w", s.PURL, err)
		}
		bans.bans = append(bans.bans, ban)
	}
	if len(p.Packages.Deny) == 0 {
		b.fault(p.Packages.At, "packages.deny lists nothing")
	}
	b.add(p.Packages.At, bans)
}

func (b *packageBans) check(ctx context.Context, f *facts) (time.Time, error) {
	list, err := f.packages(ctx)
	if err != nil {
		return time.Time{}, err
	}
	var refusals []error
	for i := range list {
		p := &list[i]
		purl, isPURL := parsePURL(p.PURL)
		for j := range b.bans {
			ban := &b.bans[j]
			meant := isPURL && ban.means(purl) || !isPURL && ban.sounds(p.Name)
			version := versionOf(p, purl)
			if source, ok := sourceOf(purl); ok && !meant && ban.means(source) {
				meant = true
				if source.Version != "" {
					version = source.Version
				}
			}
			if !meant {
				continue
			}
			if err := ban.refuse(p, version); err != nil {
				refusals = append(refusals, err)
			}
		}
	}
	return time.Time{}, firstOf(refusals)
}

// firstOf is one reason with the number of others: a reason may have to fit on
// a line.
func firstOf(refusals []error) error {
	if len(refusals) < 2 {
		return errors.Join(refusals...)
	}
	var first *ConditionError
	if !errors.As(refusals[0], &first) {
		return refusals[0]
	}
	return &ConditionError{Err: fmt.Errorf("%w, and %d more", first.Err, len(refusals)-1), Remedy: first.Remedy}
}

func parsePURL(text string) (packageurl.PackageURL, bool) {
	if text == "" {
		return packageurl.PackageURL{}, false
	}
	p, err := packageurl.FromString(text)
	return p, err == nil
}

// distributions are types of which the namespace is that of a distribution: a
// ban that names none is for all of them.
var distributions = map[string]bool{"deb": true, "rpm": true, "apk": true, "alpm": true}

// means reports whether the package is the one that the ban is about. Case is
// left out, because not all ecosystems have it. Qualifiers that the ban names,
// such as distro, must be the same.
func (b *packageBan) means(p packageurl.PackageURL) bool {
	if !strings.EqualFold(p.Type, b.purl.Type) || !strings.EqualFold(p.Name, b.purl.Name) {
		return false
	}
	if !strings.EqualFold(p.Namespace, b.purl.Namespace) && !(b.purl.Namespace == "" && distributions[b.purl.Type]) {
		return false
	}
	have := p.Qualifiers.Map()
	for _, q := range b.purl.Qualifiers {
		if have[q.Key] != q.Value {
			return false
		}
	}
	return b.purl.Subpath == "" || b.purl.Subpath == p.Subpath
}

// sounds is means for a package without a package URL: its name has to do.
func (b *packageBan) sounds(name string) bool {
	p := b.purl
	for _, spelling := range []string{p.Name, p.Namespace + "/" + p.Name, p.Namespace + ":" + p.Name} {
		if strings.EqualFold(name, spelling) {
			return true
		}
	}
	return false
}

// sourceOf is the source package that a distribution's package was built from,
// as catalogues write it into the qualifier upstream: NAME, NAME@VERSION, or the
// file of a source RPM.
func sourceOf(p packageurl.PackageURL) (packageurl.PackageURL, bool) {
	upstream := p.Qualifiers.Map()["upstream"]
	if upstream == "" || !distributions[p.Type] {
		return p, false
	}
	p.Name, p.Version, _ = strings.Cut(upstream, "@")
	if file, ok := strings.CutSuffix(upstream, ".src.rpm"); ok {
		if release := strings.LastIndexByte(file, '-'); release > 0 {
			if version := strings.LastIndexByte(file[:release], '-'); version > 0 {
				p.Name, p.Version = file[:version], withEpoch(p, file[version+1:])
			}
		}
	}
	return p, true
}

// versionOf is the version of a package: that of its package URL or, failing
// that, what the document says beside it.
func versionOf(p *listed, purl packageurl.PackageURL) string {
	if purl.Version == "" {
		return p.Version
	}
	return withEpoch(purl, purl.Version)
}

// withEpoch puts the epoch before a version: RPM's is a qualifier, and Debian's
// for some.
func withEpoch(p packageurl.PackageURL, version string) string {
	if epoch := p.Qualifiers.Map()["epoch"]; epoch != "" && !strings.Contains(version, ":") {
		return epoch + ":" + version
	}
	return version
}

// refuse returns nil if the version is not meant. One that cannot be compared
// is refused: it could be.
func (b *packageBan) refuse(p *listed, version string) error {
	what := p.PURL
	if what == "" {
		what = p.Name + " " + version
	}
	in, err := b.in.Contains(version)
	switch {
	case err != nil:
		return refuse(ErrPackage, "have the SBOM tell the version", "%s, of which %s cannot be told: %w%s", what, b.in, err, because(b.reason))
	case in:
		return refuse(ErrPackage, "build the image with another version", "%s%s", what, because(b.reason))
	}
	return nil
}
