// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/package-url/packageurl-go"
)

// Kinds are the types of packages that somebody here can list.
var Kinds = func() map[string]bool {
	kinds := map[string]bool{}
	for _, m := range Managers {
		kinds[m.Type] = true
	}
	return kinds
}()

// FromPURL is the package that a package URL names.
func FromPURL(purl string) (Package, error) {
	u, err := packageurl.FromString(purl)
	if err != nil {
		return Package{}, fmt.Errorf("%q: %w", purl, err)
	}
	p := Package{Type: u.Type, Name: u.Name, Version: u.Version}
	qualifiers := u.Qualifiers.Map()
	switch u.Type {
	case "deb", "apk":
		p.Arch = qualifiers["arch"]
	case "rpm":
		p.Arch = qualifiers["arch"]
		if epoch := qualifiers["epoch"]; epoch != "" {
			p.Version = epoch + ":" + p.Version
		}
	case "pypi":
		p.Name = normalised(u.Name)
	case "golang":
		p.Name = strings.TrimPrefix(u.Namespace+"/"+u.Name, "/")
		if p.Name == "stdlib" { // has a number there, and a release's name elsewhere
			p.Version = "go" + strings.TrimPrefix(p.Version, "go")
		}
	case "maven":
		p.Name = u.Namespace + ":" + u.Name
	default:
		p.Name = strings.TrimPrefix(u.Namespace+"/"+u.Name, "/")
	}
	return p, nil
}

// Document lists the packages of an SPDX document in JSON by their package
// URLs, those of Kinds, sorted.
func Document(data []byte) ([]Package, error) {
	var document struct {
		Packages []struct {
			ExternalRefs []struct {
				ReferenceType, ReferenceLocator string
			}
		}
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	var list []Package
	for _, entry := range document.Packages {
		for _, ref := range entry.ExternalRefs {
			if ref.ReferenceType != "purl" {
				continue
			}
			p, err := FromPURL(ref.ReferenceLocator)
			if err != nil {
				return nil, err
			}
			if Kinds[p.Type] {
				list = append(list, p)
			}
		}
	}
	return unique(list), nil
}

// A Finding is a package that syft found.
type Finding struct {
	Package
	Kind string // syft's word for what it is
	Path string // the file that told of it first
}

// SyftArgs make syft look at a folder as it would look at an image, and quietly.
func SyftArgs(root, format string) []string {
	return []string{"scan", "dir:" + root, "--override-default-catalogers", "image", "--quiet", "--output", format}
}

// Syft asks syft what is in a root. What has no package URL has its name and
// version only.
func Syft(ctx context.Context, program, root string) ([]Finding, error) {
	out, err := output(ctx, "env", append([]string{"SYFT_CHECK_FOR_APP_UPDATE=false", program}, SyftArgs(root, "syft-json")...)...)
	if err != nil {
		return nil, err
	}
	var result struct {
		Artifacts []struct {
			Name, Version, Type, PURL string
			Locations                 []struct{ Path string }
		}
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		return nil, err
	}
	var list []Finding
	for _, a := range result.Artifacts {
		f := Finding{Kind: a.Type, Package: Package{Type: a.Type, Name: a.Name, Version: a.Version}}
		if a.PURL != "" {
			if f.Package, err = FromPURL(a.PURL); err != nil {
				return nil, err
			}
		}
		if len(a.Locations) > 0 {
			f.Path = cmp.Or(a.Locations[0].Path, f.Path)
		}
		list = append(list, f)
	}
	return list, nil
}
