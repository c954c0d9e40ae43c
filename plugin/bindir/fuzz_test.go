// SPDX-License-Identifier: Apache-2.0

package bindir_test

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/verify/decision"
)

// FuzzAnswer: whatever containerd passes on, only an allow of the very image that
// was asked about exits with 0, and the reason is one harmless line.
func FuzzAnswer(f *testing.F) {
	f.Add("reg.example/app:v1", "sha256:x", ocispec.MediaTypeDescriptor, []byte(`{"digest":"sha256:x"}`), "allow", "signed by somebody")
	f.Add("reg.example/app:v1", "sha256:x", ocispec.MediaTypeDescriptor, []byte(`{"digest":"sha256:y"}`), "allow", "")
	f.Add("reg.example/app:v1", "sha256:x", ocispec.MediaTypeDescriptor, []byte(`{"digest":"sha256:y","Digest":"sha256:x"}`), "allow", "")
	f.Add("reg.example/app:v1", "sha256:x", "text/plain", []byte(`{"digest":"sha256:x"}`), "allow", "")
	f.Add("-h", "", ocispec.MediaTypeDescriptor, []byte("null"), "deny", "a\nb\x00\xff\u202e")
	f.Fuzz(func(t *testing.T, name, dgst, mediaType string, stdin []byte, verdict, reason string) {
		asked := false
		gate := decide(func(_ context.Context, n string, d ocispec.Descriptor) *decision.Decision {
			asked = true
			require.Equal(t, name, n)
			require.Equal(t, dgst, d.Digest.String())
			return &decision.Decision{Verdict: decision.Verdict(verdict), Reason: reason, Image: decision.Image{Name: n, Digest: d.Digest}}
		})
		status, stdout, _ := bindir.Answer(t.Context(), time.Minute, gate,
			[]string{"-name", name, "-digest", dgst, "-stdin-media-type", mediaType}, bytes.NewReader(stdin))
		require.Equal(t, asked && verdict == "allow", status == 0)
		requireReason(t, string(stdout))
		if asked {
			var plain ocispec.Descriptor
			require.NoError(t, json.Unmarshal(stdin, &plain))
			require.Equal(t, dgst, plain.Digest.String(), "as every other reader sees it")
			require.Equal(t, ocispec.MediaTypeDescriptor, mediaType)
		}
	})
}
