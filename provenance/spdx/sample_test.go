// SPDX-License-Identifier: Apache-2.0

package spdx_test

import (
	"fmt"
	"strings"

	"github.com/plombproject/plomb/provenance/sbom"
)

const hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// sampleImage has one of everything.
func sampleImage() sbom.Image {
	return sbom.Image{
		Name: "registry.example/team/app", Platform: "linux/amd64", ID: "sha256:" + hex64,
		Base: &sbom.BaseImage{
			Reference: "docker.io/library/debian:12", Digest: "sha256:" + strings.Repeat("ab", 32),
			PURL: "pkg:docker/debian@sha256%3A" + strings.Repeat("ab", 32),
			SBOM: &sbom.Document{Namespace: "https://example.com/debian-12", SHA1: strings.Repeat("cd", 20)},
		},
		Inputs: []sbom.Input{
			{Name: "docker.io/library/golang:1.26", PURL: "pkg:docker/golang@1.26", URI: "docker-image://docker.io/library/golang:1.26",
				Checksums: map[string]string{"SHA256": hex64}, Use: sbom.UseTool},
			{Name: "https://example.com/data.tar.gz", URI: "https://example.com/data.tar.gz", Use: sbom.UseDependency},
		},
		Created: 1767225600, Tool: "plomb-0.4.0", Author: "Organization: Example & Sons", Supplier: "Person: J. Doe (j@example.com)", Generation: sbom.GenerationBuild,
	}
}

// sampleInventory is small and has what is hard to write.
func sampleInventory() *sbom.Inventory {
	base := sbom.Origin{Base: true}
	run := sbom.Origin{DiffID: "sha256:" + hex64, Instruction: "RUN apt-get update && apt-get install -y <packages>", Line: 4}
	long := sbom.Origin{DiffID: "sha256:" + strings.Repeat("22", 32), Instruction: "RUN " + strings.Repeat("npm ci && ", 60) + "true", Line: 9}
	return &sbom.Inventory{
		System: &sbom.System{ID: "debian", VersionID: "12", Codename: "bookworm", PrettyName: "Debian GNU/Linux 12 (bookworm)"},
		Files:  4321,
		Items: []sbom.Item{
			{Package: sbom.Package{
				Type: "deb", Name: "libc6", Version: "2.36-9+deb12u10", Arch: "amd64", PURL: "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12",
				Supplier: "Organization: Debian", Originator: "Person: A Maintainer (a@example.com)",
				License: "GPL-2.0-only AND LicenseRef-libc", Licenses: map[string]string{"LicenseRef-libc": "One licence.\nTwo lines & <more>."},
				Homepage: "https://www.gnu.org/software/libc/libc.html", Summary: "GNU C Library", Source: &sbom.Source{Name: "glibc", Version: "2.36-9+deb12u10"},
			}, Paths: []string{"/var/lib/dpkg/status"}, Origin: base},
			{Package: sbom.Package{
				Type: "deb", Name: "python3-x", Version: "1.0-1", Arch: "all", PURL: "pkg:deb/debian/python3-x@1.0-1?arch=all",
				License: "LicenseRef-libc", Licenses: map[string]string{"LicenseRef-libc": "Another text by the same name."}, Top: true,
			}, Paths: []string{"/var/lib/dpkg/status"}, Origin: run, Needs: []int{0}, Contains: []int{5}},
			{Package: sbom.Package{Type: "golang", Name: "stdlib", Version: "v1.26.0", PURL: "pkg:golang/stdlib@v1.26.0", License: "BSD-3-Clause"},
				Paths: []string{"/usr/bin/a", "/usr/bin/b"}, Origin: run},
			{Package: sbom.Package{Type: "npm", Name: "@s/a", Version: "1.0.0", PURL: "pkg:npm/%40s/a@1.0.0", License: "MIT", Checksums: map[string]string{"SHA1": strings.Repeat("0f", 20)}},
				Paths: []string{"/app/node_modules/@s/a/package.json"}, Origin: long, Needs: []int{4}},
			{Package: sbom.Package{Type: "npm", Name: "@s/a", Version: "2.0.0", PURL: "pkg:npm/%40s/a@2.0.0"},
				Paths: []string{"/app/node_modules/@s/a/node_modules/@s/a/package.json"}, Origin: long},
			{Package: sbom.Package{Type: "pypi", Name: "x", Version: "1.0", PURL: "pkg:pypi/x@1.0"},
				Paths: []string{"/usr/lib/python3/dist-packages/x-1.0.dist-info/METADATA"}, Origin: run},
			{Package: sbom.Package{Type: "rpm", Name: "odd", Version: "1", Arch: "noarch", Source: &sbom.Source{Name: "a b"}},
				Paths: []string{`/odd\xff`}, Origin: base},
		},
		Unread: []sbom.Unread{{Path: "/opt/broken.jar", Reason: "not a ZIP archive"}},
	}
}

// largeInventory is the shape of an image with 2,900 packages.
func largeInventory() *sbom.Inventory {
	inv := &sbom.Inventory{System: sampleInventory().System, Files: 60000}
	base := sbom.Origin{Base: true}
	npm := sbom.Origin{DiffID: "sha256:" + hex64, Instruction: "COPY --from=deps /app/node_modules /app/node_modules", Line: 14}
	add := func(n, needs int, origin sbom.Origin, make func(i int) sbom.Item) {
		for i := range n {
			item := make(i)
			item.Origin = origin
			for j := range needs {
				if at := len(inv.Items) - 1 - j*7; at >= 0 {
					item.Needs = append([]int{at}, item.Needs...)
				}
			}
			inv.Items = append(inv.Items, item)
		}
	}
	add(548, 4, base, func(i int) sbom.Item {
		name, version := fmt.Sprintf("libexample%04d-dev", i), fmt.Sprintf("1.%d.0-2+deb12u1", i)
		return sbom.Item{Paths: []string{"/var/lib/dpkg/status"}, Package: sbom.Package{
			Type: "deb", Name: name, Version: version, Arch: "amd64", PURL: "pkg:deb/debian/" + name + "@" + strings.ReplaceAll(version, "+", "%2B") + "?arch=amd64&distro=debian-12",
			Supplier: "Organization: Debian", Originator: "Person: Debian Example Maintainers (pkg-example@lists.example.org)",
			License: "LGPL-2.1-or-later AND GPL-2.0-or-later", Homepage: "https://www.example.org/projects/example", Summary: "Development files of the example library",
			Source: &sbom.Source{Name: "example", Version: version},
		}}
	})
	add(376, 0, npm, func(i int) sbom.Item {
		name, version := fmt.Sprintf("github.com/example/module%04d", i), fmt.Sprintf("v1.%d.0", i)
		return sbom.Item{Paths: []string{"/usr/local/bin/server"}, Package: sbom.Package{Type: "golang", Name: name, Version: version, PURL: "pkg:golang/" + name + "@" + version}}
	})
	add(1900, 1, npm, func(i int) sbom.Item {
		name, version := fmt.Sprintf("package-%04d", i), fmt.Sprintf("2.%d.1", i)
		return sbom.Item{Paths: []string{"/app/node_modules/" + name + "/package.json"}, Package: sbom.Package{
			Type: "npm", Name: name, Version: version, PURL: "pkg:npm/" + name + "@" + version, License: "MIT", Supplier: "Person: Some Body (some@example.org)",
			Homepage: "https://github.com/example/" + name, Summary: "A small package for one thing",
		}}
	})
	add(57, 1, npm, func(i int) sbom.Item {
		name := fmt.Sprintf("dist%04d", i)
		return sbom.Item{Paths: []string{"/usr/lib/python3/dist-packages/" + name + ".dist-info/METADATA"}, Package: sbom.Package{Type: "pypi", Name: name, Version: "1.0", PURL: "pkg:pypi/" + name + "@1.0", License: "MIT"}}
	})
	return inv
}
