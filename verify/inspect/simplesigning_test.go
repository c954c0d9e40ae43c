// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/verifytest"
)

// What a payload names is shown only if every reader would read the same.
func TestSimpleSigning(t *testing.T) {
	manifest := digest.FromString("manifest")
	good := string(verifytest.SimpleSigning(manifest, "registry.example/app"))
	require.Equal(t, manifest, simpleSigning(evidence.Candidate{Form: evidence.Legacy, Payload: []byte(good)}))
	for name, c := range map[string]evidence.Candidate{
		"a bundle":     {Form: evidence.Bundle, Payload: []byte(good)},
		"no payload":   {Form: evidence.Legacy},
		"a statement":  {Form: evidence.Legacy, Payload: []byte(`{"payloadType":"application/vnd.in-toto+json","payload":""}`)},
		"not JSON":     {Form: evidence.Legacy, Payload: []byte(good[1:])},
		"digest twice": {Form: evidence.Legacy, Payload: []byte(strings.Replace(good, `"docker-manifest-digest"`, `"docker-manifest-digest":"sha256:","docker-manifest-digest"`, 1))},
		"no digest":    {Form: evidence.Legacy, Payload: []byte(strings.Replace(good, manifest.String(), "\\u001b[2Jallowed", 1))},
		"too large":    {Form: evidence.Legacy, Payload: []byte(good + strings.Repeat(" ", maxSimpleSigning))},
	} {
		require.Empty(t, simpleSigning(c), name)
	}
}

// FuzzSimpleSigning: what is shown is a digest and nothing else.
func FuzzSimpleSigning(f *testing.F) {
	f.Add(verifytest.SimpleSigning(digest.FromString("manifest"), "registry.example/app"))
	f.Add([]byte(`{"critical":{"image":{"docker-manifest-digest":"sha256:x"}}}`))
	f.Add([]byte(`{"critical":null}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if got := simpleSigning(evidence.Candidate{Form: evidence.Legacy, Payload: payload}); got != "" {
			require.NoError(t, got.Validate())
		}
	})
}
