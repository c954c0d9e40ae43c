// SPDX-License-Identifier: Apache-2.0

package spdx_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/spdx"
)

func read(t testing.TB, data []byte) (*sbom.Inventory, *sbom.Image) {
	t.Helper()
	inv, img, err := spdx.Read(data)
	require.NoError(t, err)
	return inv, img
}

func TestReadReturnsWhatWasWritten(t *testing.T) {
	want := sampleInventory()
	// One reference has two texts in it, which no document may have.
	want.Items[0].License = "GPL-2.0-only AND LicenseRef-libc-c2e14bf3"
	want.Items[0].Licenses = map[string]string{"LicenseRef-libc-c2e14bf3": want.Items[0].Licenses["LicenseRef-libc"]}
	want.Items[1].License = "LicenseRef-libc-2ca4f62c"
	want.Items[1].Licenses = map[string]string{"LicenseRef-libc-2ca4f62c": want.Items[1].Licenses["LicenseRef-libc"]}
	want.Gaps = map[string]int{"supplier": 6, "licence": 3, "hash": 6, "identifier": 1}
	img := sampleImage()

	data := packages(t, sampleInventory(), img)
	gotInventory, gotImage := read(t, data)
	require.Equal(t, want, gotInventory)
	require.Equal(t, &img, gotImage)
	require.Equal(t, string(data), string(packages(t, gotInventory, *gotImage)), "and is written as before")

	large := largeInventory()
	data = packages(t, large, sbom.Image{})
	gotInventory, gotImage = read(t, data)
	require.Equal(t, string(data), string(packages(t, gotInventory, *gotImage)))
	require.Len(t, gotInventory.Items, len(large.Items))

	for _, e := range sbom.Check(gotInventory, *gotImage).Package {
		require.Zero(t, e.Missing, "%s is there or explicitly not known", e.Element)
	}

	reduced, _ := read(t, packages(t, sbom.Reduce(sampleInventory(), sbom.LevelImage), img))
	require.Equal(t, sbom.LevelImage, reduced.Level)
}

func TestReadFileLevel(t *testing.T) {
	data, _ := filesDocument(t, someFiles(100))
	inv, img := read(t, data)
	require.Len(t, inv.Items, 2)
	require.Equal(t, sampleImage().ID, img.ID)
}

func TestReadSyft(t *testing.T) {
	data, err := os.ReadFile("testdata/syft.json")
	require.NoError(t, err)
	inv, img := read(t, data)
	require.Equal(t, &sbom.Image{Name: "example", ID: "sha256:aa", Created: 1772600767, Tool: "syft-1.54.1", Author: "Organization: Anchore, Inc"}, img)
	require.Equal(t, []sbom.Item{
		{Package: sbom.Package{
			Type: "deb", Name: "adduser", Version: "3.134", Arch: "all", PURL: "pkg:deb/debian/adduser@3.134?arch=all&distro=debian-12",
			Supplier: "Person: Debian Adduser Developers (adduser@packages.debian.org)", Originator: "Person: Debian Adduser Developers (adduser@packages.debian.org)",
			License: "GPL-2.0-or-later AND LicenseRef-x", Licenses: map[string]string{"LicenseRef-x": "x"},
		}, Paths: []string{"/var/lib/dpkg/status"}, Needs: []int{1}},
		{Package: sbom.Package{Type: "deb", Name: "passwd", Version: "1:4.13", Arch: "amd64", PURL: "pkg:deb/debian/passwd@1%3A4.13?arch=amd64&distro=debian-12&upstream=shadow"}},
		{Package: sbom.Package{
			Type: "npm", Name: "@babel/core", Version: "7.0.0", PURL: "pkg:npm/%40babel/core@7.0.0", License: "MIT",
			Checksums: map[string]string{"SHA1": "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		}, Unrelated: true},
	}, inv.Items)
	require.Equal(t, map[string]int{"supplier": 1, "licence": 1}, inv.Gaps)
}

func TestReadTrivy(t *testing.T) {
	data, err := os.ReadFile("testdata/trivy.json")
	require.NoError(t, err)
	inv, img := read(t, data)
	require.Equal(t, "example:1", img.Name)
	require.Equal(t, &sbom.System{ID: "debian", VersionID: "12.5"}, inv.System)
	require.Len(t, inv.Items, 2, "neither the operating system nor the application is a package")
	require.Equal(t, &sbom.Source{Name: "glibc", Version: "2.36-9"}, inv.Items[0].Source)
	require.Equal(t, "org.example:lib", inv.Items[1].Name)
	require.Equal(t, []int{0}, inv.Items[1].Needs)
	require.Empty(t, inv.Gaps)
	require.Len(t, inv.Unread, 1, "it says itself that it may be incomplete")
}

func TestReadRefuses(t *testing.T) {
	const twice = `{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"SPDXRef-a"},{"SPDXID":"SPDXRef-a"}]}`
	ours := string(packages(t, sampleInventory(), sampleImage()))
	for name, c := range map[string]struct {
		data string
		want error
	}{
		"nothing":             {"", spdx.ErrInvalid},
		"another format":      {`{"bomFormat":"CycloneDX"}`, spdx.ErrInvalid},
		"another version":     {`{"spdxVersion":"SPDX-3.0"}`, spdx.ErrInvalid},
		"repeated key":        {`{"spdxVersion":"SPDX-2.3","packages":[],"packages":[]}`, spdx.ErrInvalid},
		"repeated identifier": {twice, spdx.ErrInvalid},
		"no identifier":       {`{"spdxVersion":"SPDX-2.3","packages":[{}]}`, spdx.ErrInvalid},
		"a broken note":       {strings.Replace(ours, `"{\"base\":true,`, `"{\"base\":1,`, 1), spdx.ErrInvalid},
		"a broken image note": {strings.Replace(ours, `"{\"platform\":`, `"{\"files\":"x",\"platform\":`, 1), spdx.ErrInvalid},
		"deep":                {`{"spdxVersion":"SPDX-2.3","x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, spdx.ErrInvalid},
		"large":               {strings.Repeat(" ", spdx.MaxRead+1), spdx.ErrTooLarge},
		"many packages":       {`{"spdxVersion":"SPDX-2.3","packages":[` + strings.Repeat("{},", 100_000) + `{}]}`, spdx.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := spdx.Read([]byte(c.data))
			require.ErrorIs(t, err, c.want)
		})
	}
}

// FuzzRead: what can be read can be written, and is then ours: reading and
// writing it again changes nothing.
func FuzzRead(f *testing.F) {
	// Small ones: a fuzzer takes them apart byte by byte.
	small := &sbom.Inventory{Items: sampleInventory().Items[5:6]}
	f.Add(packages(f, small, sbom.Image{}))
	f.Add(packages(f, &sbom.Inventory{}, sampleImage()))
	for _, name := range []string{"syft", "trivy"} {
		data, err := os.ReadFile(fmt.Sprintf("testdata/%s.json", name))
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		inv, img, err := spdx.Read(data)
		if err != nil {
			return
		}
		first, err := spdx.Packages(inv, *img, nil)
		require.NoError(t, err)
		inv, img = read(t, first)
		second, err := spdx.Packages(inv, *img, nil)
		require.NoError(t, err)
		inv, img = read(t, second)
		third, err := spdx.Packages(inv, *img, nil)
		require.NoError(t, err)
		require.True(t, bytes.Equal(second, third), "%s\n%s", second, third)
	})
}

func BenchmarkRead(b *testing.B) {
	data := packages(b, largeInventory(), sampleImage())
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		inv, _ := read(b, data)
		require.NotEmpty(b, inv.Items)
	}
}
