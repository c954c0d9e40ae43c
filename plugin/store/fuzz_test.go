// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// FuzzReferrers: a list of referrers that somebody imported breaks nothing.
func FuzzReferrers(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:00","size":1}]}`))
	f.Add([]byte(`{"manifests":null}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := newNode()
		subject := digest.FromString("subject")
		n.names[repository+":"+strings.Replace(subject.String(), ":", "-", 1)] = n.Add(data, "").Digest
		list, err := n.open().At(repository).Referrers(t.Context(), subject)
		if err != nil && list != nil {
			t.Fatal("a list and an error")
		}
	})
}
