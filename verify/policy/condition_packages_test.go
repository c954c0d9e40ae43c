// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/claim"
)

// spdxOf is an SPDX document with packages, each a package URL or a name and a
// version.
func spdxOf(packages ...string) string {
	var list []string
	for _, p := range packages {
		name, version, _ := strings.Cut(p, " ")
		if strings.HasPrefix(p, "pkg:") {
			list = append(list, fmt.Sprintf(`{"name":"n","versionInfo":"","externalRefs":[{"referenceType":"purl","referenceLocator":%q}]}`, p))
			continue
		}
		list = append(list, fmt.Sprintf(`{"name":%q,"versionInfo":%q}`, name, version))
	}
	return `{"spdxVersion":"SPDX-2.3","packages":[` + strings.Join(list, ",") + `]}`
}

const log4shell = `  packages:
    deny:
    - purl: pkg:maven/org.apache.logging.log4j/log4j-core
      versions: ">=2.0-beta9|<2.3.1|>=2.4|<2.12.2|>=2.13.0|<2.15.0"
      reason: CVE-2021-44228
    - purl: pkg:deb/openssl
      versions: "<3.0.11-1~deb12u2"
    - purl: pkg:rpm/xz-libs
      versions: "=5.6.0|=5.6.1"
    - purl: pkg:deb/debian/evil?distro=debian-12
    - purl: pkg:npm/%40scope/left-pad
    - purl: pkg:pypi/Foo_Bar
      versions: "<2"
`

func TestPackages(t *testing.T) {
	const spdxType, cdxType = provenance.PredicateSPDX, "https://cyclonedx.org/bom"
	carries := func(packages ...string) known {
		return known{byproducts: map[string]string{spdxType: spdxOf(packages...)}}
	}
	built := []claim.Claim{provenanceClaim(nil)}
	cdx := func(components string) []claim.Claim {
		return []claim.Claim{signed(nil), stated(cdxType+"/v1.6", `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"name":"app"}},"components":`+components+`}`)}
	}
	for _, c := range []struct {
		says     string // empty: it passes
		packages []string
	}{
		{"", []string{"pkg:maven/org.apache.logging.log4j/log4j-core@2.17.1", "pkg:maven/org.apache.logging.log4j/log4j-core@2.12.4"}},
		{"", []string{"pkg:maven/org.apache.logging.log4j/log4j-api@2.14.1", "pkg:maven/com.example/log4j-core@2.14.1"}},
		{"", []string{"pkg:maven/org.apache.logging.log4j/log4j-core@1.2.17"}},
		{"log4j-core@2.14.1 (CVE-2021-44228)", []string{"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"}},
		{"log4j-core@2.0-beta9", []string{"x 1", "pkg:maven/org.apache.logging.log4j/log4j-core@2.0-beta9?type=jar"}},
		{"and 1 more", []string{"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1", "pkg:maven/org.apache.logging.log4j/log4j-core@2.0"}},
		// A version that nobody can tell could be the one.
		{"cannot be told", []string{"pkg:maven/org.apache.logging.log4j/log4j-core"}},
		{"cannot be told", []string{"pkg:maven/org.apache.logging.log4j/log4j-core@%24%7Bproject.version%7D"}},
		// Without a package URL the name has to do.
		{"log4j-core 2.14.1", []string{"log4j-core 2.14.1"}},
		{"log4j-core 2.14.1", []string{"org.apache.logging.log4j:log4j-core 2.14.1"}},
		{"", []string{"log4j-core 2.17.1", "log4j 2.14.1"}},
		{"Log4J-Core@2.14.1", []string{"pkg:MAVEN/org.apache.logging.LOG4J/Log4J-Core@2.14.1"}},
		// Distributions.
		{"openssl@3.0.11-1~deb12u1", []string{"pkg:deb/debian/openssl@3.0.11-1~deb12u1?arch=amd64"}},
		{"openssl", []string{"pkg:deb/ubuntu/openssl@3.0.2-0ubuntu1"}},
		{"", []string{"pkg:deb/debian/openssl@3.0.11-1~deb12u2", "pkg:deb/debian/openssl@1%3A1.0", "pkg:apk/alpine/openssl@1.0"}},
		{"", []string{"pkg:deb/debian/openssl@1.0?epoch=1"}},
		// By their source packages.
		{"libssl3", []string{"pkg:deb/debian/libssl3@3.0.11-1~deb12u1?arch=amd64&upstream=openssl"}},
		{"libssl3", []string{"pkg:deb/debian/libssl3@1:9?upstream=openssl%403.0.11-1~deb12u1"}},
		{"", []string{"pkg:deb/debian/libssl3@3.0.11-1~deb12u2?upstream=openssl", "pkg:deb/debian/a@1?upstream=openssl%403.0.13-1", "pkg:npm/a@1?upstream=openssl"}},
		{"xz-devel", []string{"pkg:rpm/fedora/xz-devel@9?upstream=xz-libs-5.6.1-1.fc40.src.rpm"}},
		{"", []string{"pkg:rpm/fedora/xz-devel@9?upstream=xz-libs-5.4.6-3.fc40.src.rpm", "pkg:rpm/fedora/x@9?upstream=.src.rpm", "pkg:rpm/fedora/x@9?upstream=xz-libs.src.rpm"}},
		{"xz-libs", []string{"pkg:rpm/fedora/xz-libs@5.6.0?arch=x86_64"}},
		{"xz-libs", []string{"pkg:rpm/fedora/xz-libs@5.6.1-1.fc40?arch=x86_64"}},
		{"", []string{"pkg:rpm/fedora/xz-libs@5.4.6-3.fc40"}},
		{"evil", []string{"pkg:deb/debian/evil@1?arch=amd64&distro=debian-12"}},
		{"", []string{"pkg:deb/debian/evil@1?distro=debian-13", "pkg:deb/debian/evil@1", "pkg:deb/ubuntu/evil@1?distro=debian-12"}},
		{"left-pad", []string{"pkg:npm/%40scope/left-pad@nonsense"}},
		{"", []string{"pkg:npm/left-pad@1.0.0"}},
		{"foo-bar", []string{"pkg:pypi/foo-bar@1.0"}},
		{"foo-bar", []string{"pkg:pypi/foo-bar@2.0rc1"}},
	} {
		trial := trial{name: strings.Join(c.packages, " "), fields: log4shell, claims: built, known: carries(c.packages...), says: c.says}
		if c.says != "" {
			trial.want = ErrPackage
		}
		t.Run(trial.name, trial.run)
	}
	bad := "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"
	runAll(t, []trial{
		{name: "attested CycloneDX", fields: log4shell, claims: cdx(`[{"name":"a","version":"1","components":[{"group":"org.apache.logging.log4j","name":"log4j-core","version":"2.14.1","purl":"` + bad + `"}]}]`), want: ErrPackage},
		{name: "harmless CycloneDX", fields: log4shell, claims: cdx(`[{"name":"a","version":"1","licenses":[{"license":{"id":"MIT"}}]}]`)},
		{name: "attested SPDX", fields: log4shell, claims: []claim.Claim{signed(nil), stated(spdxType, spdxOf(bad))}, want: ErrPackage},
		{name: "a second SBOM does not hide what the first lists", fields: log4shell, claims: append(cdx("[]"), provenanceClaim(nil)), known: carries(bad), want: ErrPackage},
		{name: "no SBOM", fields: log4shell, claims: []claim.Claim{signed(nil)}, want: ErrNoSBOM},
		{name: "swapped SBOM", fields: log4shell, claims: built, known: known{byproducts: map[string]string{}}, want: ErrByproduct, says: "names another"},
		{name: "swapped SBOM beside an attested one", fields: log4shell, claims: append(cdx("[]"), provenanceClaim(nil)), want: ErrByproduct},
		{name: "SBOM in tag-value form", fields: log4shell, claims: []claim.Claim{signed(nil), stated(spdxType, `"SPDXVersion: SPDX-2.3"`)}, want: ErrSBOM},
		{name: "SBOM of another version", fields: log4shell, claims: []claim.Claim{signed(nil), stated(spdxType, `{"spdxVersion":"SPDX-3.0","packages":[]}`)}, want: ErrSBOM},
		{name: "SBOM that can be read in two ways", fields: log4shell, claims: []claim.Claim{signed(nil), stated(spdxType, `{"spdxVersion":"SPDX-2.3","packages":[{"name":"log4j-core"}],"packages":[]}`)}, want: ErrSBOM},
		{name: "SBOM of both kinds", fields: log4shell, claims: []claim.Claim{signed(nil), stated(spdxType, `{"spdxVersion":"SPDX-2.3","bomFormat":"CycloneDX"}`)}, want: ErrSBOM},
	})

	p := loadPolicy(t, log4shell)
	e := &known{claims: built, err: errors.New("connection reset")}
	j := p.Judge(t.Context(), shop(), e)
	require.ErrorIs(t, j.Reasons[0], e.err, "not having got it is not a refusal")
	require.NotErrorIs(t, j.Reasons[0], ErrByproduct)
}

// Components that nest without end.
func TestNestedComponents(t *testing.T) {
	doc := `{"bomFormat":"CycloneDX","components":` + strings.Repeat(`[{"name":"x","components":`, 40) + "[]" + strings.Repeat("}]", 40) + "}"
	_, err := readSBOM([]byte(doc))
	require.ErrorContains(t, err, "nest")
}

// FuzzSBOM: whatever is read has a name for each package that it lists, and is
// the same when it is read again.
func FuzzSBOM(f *testing.F) {
	f.Add([]byte(spdxOf("pkg:deb/debian/a@1", "b 2")))
	f.Add([]byte(`{"bomFormat":"CycloneDX","metadata":{"component":{"name":"x"}},"components":[{"group":"g","name":"n","licenses":[{"expression":"MIT"}],"components":[{"name":"y"}]}]}`))
	f.Add([]byte(`{"spdxVersion":"SPDX-2.3","packages":null}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := readSBOM(data)
		if err != nil {
			require.Empty(t, list)
			return
		}
		again, err := readSBOM(data)
		require.NoError(t, err)
		require.Equal(t, list, again)
	})
}

func TestByproducts(t *testing.T) {
	const fields = "  byproducts:\n  - predicateType: spdx\n"
	carries := known{byproducts: map[string]string{provenance.PredicateSPDX: "{}"}}
	runAll(t, []trial{
		{name: "named and there", fields: fields, claims: []claim.Claim{provenanceClaim(nil)}, known: carries},
		{name: "swapped or missing", fields: fields, claims: []claim.Claim{provenanceClaim(nil)}, want: ErrByproduct, says: "https://spdx.dev/Document"},
		{name: "one of two", fields: fields + "  - predicateType: https://example.com/x\n", claims: []claim.Claim{provenanceClaim(nil)}, known: carries, want: ErrByproduct, says: "example.com/x"},
		{name: "no provenance", fields: fields, claims: []claim.Claim{signed(nil), stated(provenance.PredicateSPDX, "{}")}, known: carries, want: ErrNoProvenance},
	})
	p := loadPolicy(t, fields)
	e := &known{claims: []claim.Claim{provenanceClaim(nil)}, err: errors.New("connection reset")}
	require.NotErrorIs(t, p.Judge(t.Context(), shop(), e).Reasons[0], ErrByproduct)
}
