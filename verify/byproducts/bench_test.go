// SPDX-License-Identifier: Apache-2.0

package byproducts_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/byproducts"
	"github.com/plombproject/plomb/verify/verifytest"
)

// BenchmarkCheck is an SBOM of the largest size that plomb writes (32 MiB).
func BenchmarkCheck(b *testing.B) {
	element := `{"name":"some-package","versionInfo":"1.2.3","licenseDeclared":"MIT"},`
	large := verifytest.SBOM(`{"packages":[` + strings.Repeat(element, 32<<20/len(element)) + `{}]}`)
	store, subject := stored(b, nil, large)
	p := provenance()
	p.RunDetails.Byproducts = []slsa.ResourceDescriptor{large.Byproduct(slsa.ByproductSBOM, amd64)}
	b.SetBytes(int64(len(large.Predicate)))
	b.ReportAllocs()
	for b.Loop() {
		list, err := byproducts.Check(b.Context(), store, subject, p)
		require.NoError(b, err)
		require.Equal(b, "signed", statuses(list))
	}
}
