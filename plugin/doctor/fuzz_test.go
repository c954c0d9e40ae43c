// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"testing"

	"github.com/plombproject/plomb/plugin/canary"
)

// FuzzFind: whatever a neighbour on loopback asks for, it gets canaries only.
func FuzzFind(f *testing.F) {
	f.Add("plomb-canary/run/x/manifests/canary")
	f.Add("plomb-canary/run/x/blobs/sha256:00")
	f.Add("plomb-canary/run/x/referrers/sha256:00")
	f.Add("//manifests/..")
	r, err := serve(canary.Host)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(r.close)
	img, err := r.image("plomb-canary/run/x")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		data, mediaType, dgst, found := r.find(path)
		if !found {
			return
		}
		if dgst.Validate() != nil || dgst.Algorithm().FromBytes(data) != dgst || img.types[dgst] != mediaType {
			t.Fatalf("%q: %s %s", path, dgst, mediaType)
		}
	})
}

// FuzzLookup: a variable's value never has another variable in it.
func FuzzLookup(f *testing.F) {
	f.Add([]byte("PLOMB_STATE=/x\x00PLOMB_POLICY=/y"))
	f.Fuzz(func(t *testing.T, environ []byte) {
		for _, b := range []byte(lookup(environ)("PLOMB_STATE")) {
			if b == 0 {
				t.Fatal("two variables in one")
			}
		}
	})
}
