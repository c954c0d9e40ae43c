// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/credential"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/sign"
	"github.com/plombproject/plomb/provenance/slsa"
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// keyed is a gateway with a key.
func keyed(t *testing.T, opts ...string) *gateway {
	g := newGateway(t, dockerfile, opts...)
	g.key = newKey(t)
	return g
}

// bundleIn is the bundle of a result, as far as these tests look at it.
func bundleIn(t *testing.T, res *client.Result) (hint string, payload []byte, signature []byte, more map[string]any) {
	for key, value := range res.Metadata {
		if at, ok, err := exptypes.ParseAnnotationKey(key); err != nil || !ok || at.Key != provenance.BundleAnnotation {
			continue
		}
		data, err := base64.StdEncoding.DecodeString(string(value))
		require.NoError(t, err)
		var b struct {
			VerificationMaterial map[string]any `json:"verificationMaterial"`
			DSSE                 struct {
				Payload    []byte                 `json:"payload"`
				Signatures []struct{ Sig []byte } `json:"signatures"`
			} `json:"dsseEnvelope"`
		}
		require.NoError(t, json.Unmarshal(data, &b))
		hint, _ = b.VerificationMaterial["publicKey"].(map[string]any)["hint"].(string)
		delete(b.VerificationMaterial, "publicKey")
		return hint, b.DSSE.Payload, b.DSSE.Signatures[0].Sig, b.VerificationMaterial
	}
	require.FailNow(t, "there is no bundle")
	return "", nil, nil, nil
}

// A key signs without any service, and nothing else is asked for.
func TestBuildSignsWithAKey(t *testing.T) {
	for _, opts := range [][]string{nil, {"build-arg:PLOMB_SIGN=key"}, {"build-arg:PLOMB_SIGN=auto", "platform=linux/amd64,linux/arm64"}} {
		g := keyed(t, opts...)
		res, err := g.build()
		require.NoError(t, err)
		require.Empty(t, g.warnings)
		hint, payload, sig, more := bundleIn(t, res)

		sum := sha256.Sum256(spki(t, g.key))
		require.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), hint)
		require.Empty(t, more, "neither log entry nor timestamp")
		pae := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(provenance.PayloadType), provenance.PayloadType, len(payload), payload)
		signed := sha256.Sum256(pae)
		require.True(t, ecdsa.VerifyASN1(&g.key.(*ecdsa.PrivateKey).PublicKey, signed[:], sig))

		requireInToto(t, payload)
		s, err := provenance.ParseStatement(payload)
		require.NoError(t, err)
		var p slsa.Provenance
		require.NoError(t, json.Unmarshal(s.Predicate, &p))
		require.Equal(t, "https://plombproject.github.io/builder/key/"+hex.EncodeToString(sum[:]), p.RunDetails.Builder.ID)

		require.Len(t, g.ran, 2, "one container to look, one to sign")
		require.Equal(t, []string{Binary, "sign", digest.NewDigestFromBytes(digest.SHA256, signed[:]).String()}, g.ran[1])
	}
}

func TestBuildAsksForWhatItMayUse(t *testing.T) {
	for mode, want := range map[string]string{
		"auto":    "plomb-id-token plomb-github-token-url plomb-github-token plomb-key plomb-key-password plomb-certificate",
		"key":     "plomb-key plomb-key-password plomb-certificate",
		"keyless": "plomb-id-token plomb-github-token-url plomb-github-token",
	} {
		g := newGateway(t, dockerfile, "build-arg:PLOMB_SIGN="+mode)
		_, err := g.build()
		require.Equal(t, mode == "auto", err == nil, err)
		require.Equal(t, [][]string{append([]string{Binary, "secrets"}, strings.Fields(want)...)}, g.ran)
	}
	g := keyed(t, signOff)
	_, err := g.build()
	require.NoError(t, err)
	require.Empty(t, g.ran)
}

func TestBuildRefusesKeysFirst(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	odd, err := rsa.GenerateKey(rand.Reader, 2560)
	require.NoError(t, err)
	withLog := fmt.Sprintf(`{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogUrls":[{"url":"https://log.invalid","majorApiVersion":2,"validFor":{"start":"2020-01-01T00:00:00Z"},"operator":"o"}],"rekorTlogConfig":{"selector":%q},"tsaConfig":{"selector":"ANY"}}`, "ANY")
	for name, row := range map[string]struct {
		change func(*gateway)
		is     error
		says   string
	}{
		"a token as well": {func(g *gateway) { g.secrets = map[string]string{credential.IDToken: "x"} }, credential.ErrAmbiguous, "PLOMB_SIGN=keyless or PLOMB_SIGN=key"},
		"a broken one":    {func(g *gateway) { g.keyFault = "this is why" }, credential.ErrKey, "this is why"},
		"none":            {func(g *gateway) { g.key, g.opts["build-arg:PLOMB_SIGN"] = nil, "key" }, credential.ErrNone, "PLOMB_SIGN=key: no signing credential: pass a build secret: --secret id=plomb-key"},
		"a key for keyless": {func(g *gateway) { g.opts["build-arg:PLOMB_SIGN"] = "keyless" }, credential.ErrNone,
			"PLOMB_SIGN=keyless: no signing credential"},
		"a token for key": {func(g *gateway) {
			g.key, g.secrets, g.opts["build-arg:PLOMB_SIGN"] = nil, map[string]string{credential.IDToken: "x"}, "key"
		}, credential.ErrNone, "PLOMB_SIGN=key"},
		"a weak one":          {func(g *gateway) { g.key = weak }, sign.ErrKey, "1024 bits: use 2048 to 8192"},
		"one for no log":      {func(g *gateway) { g.key, g.locals["plomb"]["signing_config.json"] = odd, withLog }, sign.ErrKey, "2048, 3072 and 4096 bits only"},
		"a broken config":     {func(g *gateway) { g.locals["plomb"]["signing_config.json"] = "{" }, sign.ErrSigningConfig, "signing_config.json"},
		"an inline cache too": {func(g *gateway) { g.opts["build-arg:BUILDKIT_INLINE_CACHE"] = "1" }, ErrInlineCache, "use --cache-to"},
	} {
		t.Run(name, func(t *testing.T) {
			g := keyed(t, "context:plomb=local:plomb")
			g.locals["plomb"] = map[string]string{}
			row.change(g)
			_, err := g.build()
			require.ErrorIs(t, err, row.is)
			require.ErrorContains(t, err, row.says)
			require.Empty(t, g.seals(), "it fails before the build steps")
		})
	}
}

// A key that was exchanged while the build ran signs nothing, and a service
// that fails leaves nothing half-signed.
func TestBuildFailsWhereKeysFail(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not today", http.StatusForbidden)
	}))
	defer srv.Close()
	stamped := fmt.Sprintf(`{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","tsaUrls":[{"url":%q,"majorApiVersion":1,"validFor":{"start":"2020-01-01T00:00:00Z"},"operator":"o"}],"rekorTlogConfig":{"selector":"ANY"},"tsaConfig":{"selector":"ANY"}}`, srv.URL)
	for name, row := range map[string]struct {
		change func(*gateway)
		is     error
		says   string
	}{
		"another key":  {func(g *gateway) { g.signWith = newKey(t) }, credential.ErrKey, "another key than before the build steps"},
		"no timestamp": {func(g *gateway) { g.locals["plomb"] = map[string]string{"signing_config.json": stamped} }, sign.ErrService, "not today"},
	} {
		t.Run(name, func(t *testing.T) {
			g := keyed(t)
			row.change(g)
			if g.locals["plomb"] != nil {
				g.opts["context:plomb"] = "local:plomb"
			}
			res, err := g.build()
			require.ErrorIs(t, err, row.is)
			require.ErrorContains(t, err, "sign the image")
			require.ErrorContains(t, err, row.says)
			require.Nil(t, res)
		})
	}
}
