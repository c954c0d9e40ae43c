// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"iter"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/provenance/spdx"
	"github.com/plombproject/plomb/verify/verifytest"
)

// inventory is what is in app:documented; curl is in another version in
// app:newer.
func inventory(curl string) *sbom.Inventory {
	run := sbom.Origin{DiffID: "sha256:" + strings.Repeat("11", 32), Instruction: "RUN apt-get install -y curl", Line: 3}
	return &sbom.Inventory{
		System: &sbom.System{ID: "debian", VersionID: "12", PrettyName: "Debian GNU/Linux 12 (bookworm)"},
		Files:  7,
		Items: []sbom.Item{
			{Package: sbom.Package{Type: "deb", Name: "base-files", Version: "12.4", Arch: "amd64", License: "GPL-2.0-or-later", Top: true,
				PURL: "pkg:deb/debian/base-files@12.4?arch=amd64", Supplier: "Person: Santiago Vila (sanvila@debian.org)"},
				Paths: []string{"/var/lib/dpkg/status"}, Origin: sbom.Origin{Base: true}},
			{Package: sbom.Package{Type: "deb", Name: "curl", Version: curl, Arch: "amd64", License: "curl", Top: true,
				PURL: "pkg:deb/debian/curl@" + curl + "?arch=amd64"},
				Paths: []string{"/var/lib/dpkg/status"}, Origin: run, Needs: []int{2}},
			{Package: sbom.Package{Type: "deb", Name: "libcurl4", Version: "7.88.1-10", Arch: "amd64", License: "curl",
				PURL: "pkg:deb/debian/libcurl4@7.88.1-10?arch=amd64"},
				Paths: []string{"/var/lib/dpkg/status"}, Origin: run},
		},
		Unread: []sbom.Unread{{Path: "/opt/app/package.json", Reason: "not JSON"}},
	}
}

// spdxOf is a package-level document, and a file-level one.
func spdxOf(t *testing.T, platform, curl string) (packages, files verifytest.Attestation) {
	t.Helper()
	img := sbom.Image{Name: "registry.example/app", Platform: platform, ID: digest.FromString(platform).String(), Created: 1767225600, Tool: "plomb-0.4.0"}
	var out bytes.Buffer
	document, err := spdx.Files(img, inventory(curl), someFiles(), &out)
	require.NoError(t, err)
	data, err := spdx.Packages(inventory(curl), img, document)
	require.NoError(t, err)
	return verifytest.SBOM(string(data)), verifytest.SBOM(out.String())
}

func someFiles() iter.Seq2[sbom.File, error] {
	return func(yield func(sbom.File, error) bool) {
		_ = yield(sbom.File{Path: "/usr/bin/curl", Size: 1, SHA1: strings.Repeat("a", 40), SHA256: strings.Repeat("b", 64)}, nil)
	}
}

// storeDocumented makes images for two platforms: app:documented carries the
// SBOMs that its signed provenance names, and BuildKit's own provenance; so
// does app:newer; app:swapped carries another SBOM than the one it names;
// app:plain carries an SBOM and no signature at all.
func storeDocumented(t *testing.T, store *verifytest.Store, sigstore *verifytest.Sigstore) digest.Digest {
	t.Helper()
	both := []string{"linux/amd64", "linux/arm64"}
	build := verifytest.Attestation{PredicateType: "https://slsa.dev/provenance/v0.2", Predicate: []byte(`{}`)}
	image := func(tag, curl string, carried func(platform string) []verifytest.Attestation) verifytest.ImageOptions {
		return verifytest.ImageOptions{
			Content: tag, Platforms: both, Attestations: carried,
			Bundle: func(subjects []provenance.Subject) []byte {
				var byproducts []slsa.ResourceDescriptor
				for _, platform := range both {
					packages, files := spdxOf(t, platform, curl)
					byproducts = append(byproducts, packages.Byproduct(slsa.ByproductSBOM, platform))
					if tag == "documented" {
						byproducts = append(byproducts, files.Byproduct(slsa.ByproductSBOMFiles, platform))
					}
				}
				return sigstore.Bundle(t, verifytest.Statement(t, subjects, byproducts...), verifytest.BundleOptions{})
			},
		}
	}
	documented := image("documented", "7.88.1-10", func(platform string) []verifytest.Attestation {
		packages, files := spdxOf(t, platform, "7.88.1-10")
		return []verifytest.Attestation{packages, build, files}
	})
	newer := image("newer", "8.0", func(platform string) []verifytest.Attestation {
		packages, _ := spdxOf(t, platform, "8.0")
		return []verifytest.Attestation{packages, build}
	})
	evil := func(platform string) []verifytest.Attestation {
		packages, _ := spdxOf(t, platform, "6.6.6\x1b[31m")
		return []verifytest.Attestation{packages, build}
	}
	plain := image("plain", "", evil)
	plain.Bundle = nil
	for tag, opts := range map[string]verifytest.ImageOptions{"newer": newer, "swapped": image("swapped", "7.88.1-10", evil), "plain": plain} {
		store.Tag(tag, store.Image(t, opts).Index)
	}
	dgst := store.Image(t, documented).Index
	store.Tag("documented", dgst)
	return dgst
}
