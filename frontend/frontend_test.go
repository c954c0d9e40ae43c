// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/credential"
	"github.com/plombproject/plomb/provenance/sign"
)

const signOff = "build-arg:PLOMB_SIGN=off"

const dockerfile = `FROM base
RUN --mount=type=secret,id=mine one
ENV A=b
COPY a /
WORKDIR /app
COPY --link b /
`

func config(t *testing.T, res *client.Result, key string) ocispecs.Image {
	require.Contains(t, res.Metadata, key)
	var img ocispecs.Image
	require.NoError(t, json.Unmarshal(res.Metadata[key], &img))
	return img
}

func TestBuildRefusesBadOptionsFirst(t *testing.T) {
	for opt, is := range map[string]error{
		"build-arg:PLOMB_SIGN=maybe":                       ErrOption,
		"build-arg:PLOMB_COLOUR=red":                       ErrOption,
		"frontend.caps=moby.buildkit.frontend.of-tomorrow": errCaps,
	} {
		g := newGateway(t, dockerfile, opt)
		_, err := g.build()
		require.ErrorIs(t, err, is, opt)
		require.Empty(t, g.solved, "nothing runs, nothing is even read")
	}
}

func TestBuildNeedsItsImage(t *testing.T) {
	g := newGateway(t, dockerfile, signOff)
	g.noImage = true
	_, err := g.build()
	require.ErrorIs(t, err, ErrNotAnImage)
	require.ErrorContains(t, err, "# syntax=")

	// A client that cannot even tell.
	f := Frontend{Now: time.Now}
	_, err = f.Build(t.Context(), struct{ client.Client }{newGateway(t, dockerfile, signOff)})
	require.ErrorIs(t, err, ErrNotAnImage)
}

func TestBuildSealsEachStep(t *testing.T) {
	g := newGateway(t, dockerfile, signOff, "build-arg:PLOMB_SCRUB=on", "build-arg:VERSION=1")
	res, err := g.build()
	require.NoError(t, err)
	require.Empty(t, g.warnings)

	seals := g.seals()
	require.Len(t, seals, 4, "RUN, COPY, WORKDIR, COPY --link")
	scrubbed := 0
	for _, s := range seals {
		args := strings.Join(s.Meta.Args, " ")
		require.Contains(t, args, "/plomb-frontend seal --time 1577836800 ", "the base's creation")
		scrubbed += strings.Count(args, "--scrub on")
		require.Equal(t, pb.NetMode_NONE, s.Network)
		for _, m := range s.Mounts {
			require.Equal(t, m.Dest != "/out" && m.Dest != "/report", m.Readonly, m.Dest)
			require.NotEqual(t, pb.MountType_SECRET, m.MountType, "a seal gets no secret")
		}
	}
	require.Equal(t, 1, scrubbed, "the RUN and nothing else")

	img := config(t, res, exptypes.ExporterImageConfigKey)
	require.Len(t, img.RootFS.DiffIDs, 5)
	require.Equal(t, digest.FromString("base"), img.RootFS.DiffIDs[0])
	require.Len(t, img.History, 6)
	require.Contains(t, res.Metadata, exptypes.ExporterImageBaseConfigKey)
	require.Contains(t, res.Metadata, exptypes.ExporterPlatformsKey)
	requireSBOM(t, res, "linux/amd64", true)

	// The result is the last seal's layer.
	ref, err := res.SingleRef()
	require.NoError(t, err)
	ops, at := parse(t, ref.(solved).def)
	require.Contains(t, seals, at.Digest)
	for _, op := range ops {
		for _, env := range op.GetExec().GetMeta().GetEnv() {
			require.NotContains(t, env, "PLOMB_", "options reach no build step")
		}
	}
}

// Options are not part of what a build step's cache depends on.
func TestBuildOptionsLeaveStepsAlone(t *testing.T) {
	steps := func(opts ...string) []string {
		g := newGateway(t, "FROM base\nARG VERSION\nRUN one\n", append(opts, signOff)...)
		res, err := g.build()
		require.NoError(t, err)
		ref, err := res.SingleRef()
		require.NoError(t, err)
		var digests []string
		ops, _ := parse(t, ref.(solved).def)
		for dgst, op := range ops {
			if args := op.GetExec().GetMeta().GetArgs(); len(args) > 0 && strings.Contains(args[len(args)-1], "one") {
				digests = append(digests, dgst)
			}
		}
		require.Len(t, digests, 1)
		return digests
	}
	plain := steps()
	require.Equal(t, plain, steps("build-arg:PLOMB_LAYERS=squash", "build-arg:PLOMB_REPOSITORY=example.com/app", "build-arg:PLOMB_SCRUB=off"))
	require.NotEqual(t, plain, steps("build-arg:VERSION=2"), "other arguments are")
}

func TestBuildSquash(t *testing.T) {
	g := newGateway(t, dockerfile, signOff, "build-arg:PLOMB_LAYERS=squash")
	res, err := g.build()
	require.NoError(t, err)
	require.Len(t, config(t, res, exptypes.ExporterImageConfigKey).RootFS.DiffIDs, 2)
	require.Empty(t, g.warnings)
}

// The base's history does not tell of its layer: nothing is guessed.
func TestBuildOneLayerWhereHistoryIsMissing(t *testing.T) {
	g := newGateway(t, dockerfile, signOff)
	g.base.History = nil
	res, err := g.build()
	require.NoError(t, err)
	img := config(t, res, exptypes.ExporterImageConfigKey)
	require.Len(t, img.RootFS.DiffIDs, 2)
	require.Len(t, g.warnings, 1)
	require.Contains(t, g.warnings[0], "OneLayer")
	require.Contains(t, g.warnings[0], "3 new layers and the build makes 4")
}

// The cache has seals of another run of a step than the one it gave the next
// step: no seal of the cache is used.
func TestBuildSealsAnewWhatDoesNotFit(t *testing.T) {
	for _, ranAgain := range []bool{false, true} {
		for _, layers := range []string{"keep", "squash"} {
			g := newGateway(t, dockerfile, signOff, "build-arg:PLOMB_LAYERS="+layers)
			g.ranAgain = ranAgain
			_, err := g.build()
			require.NoError(t, err)
			forced := 0
			for _, def := range g.solved {
				for _, md := range def.Metadata {
					if md.IgnoreCache {
						forced++
					}
				}
			}
			require.Equal(t, ranAgain, forced > 0)
			require.Empty(t, g.warnings)
		}
	}
}

func TestBuildEmptyImages(t *testing.T) {
	for _, text := range []string{"FROM base", "FROM base\nENV A=b", "FROM scratch\nLABEL a=b", "FROM scratch"} {
		_, err := newGateway(t, text, signOff).build()
		require.NoError(t, err, text)
	}
}

func TestBuildManyPlatforms(t *testing.T) {
	g := newGateway(t, dockerfile, signOff, "platform=linux/amd64,linux/arm64")
	res, err := g.build()
	require.NoError(t, err)
	require.Len(t, res.Refs, 2)
	for _, p := range []string{"linux/amd64", "linux/arm64"} {
		require.Contains(t, res.Refs, p)
		require.Len(t, config(t, res, exptypes.ExporterImageConfigKey+"/"+p).RootFS.DiffIDs, 5)
	}
	require.Len(t, g.seals(), 8)
	for _, def := range g.solved {
		ops, _ := parse(t, def)
		for _, op := range ops {
			if args := op.GetExec().GetMeta().GetArgs(); len(args) > 1 && args[1] == "seal" {
				require.Equal(t, "amd64", op.Platform.Architecture, "the helper runs where the build runs")
			}
		}
	}
}

func TestBuildEpoch(t *testing.T) {
	g := newGateway(t, dockerfile, signOff, "build-arg:SOURCE_DATE_EPOCH=1000000000")
	res, err := g.build()
	require.NoError(t, err)
	for _, s := range g.seals() {
		require.Contains(t, strings.Join(s.Meta.Args, " "), "--time 1000000000")
	}
	require.Equal(t, "1000000000", string(res.Metadata["source.date.epoch"]))
	require.Equal(t, int64(1000000000), config(t, res, exptypes.ExporterImageConfigKey).Created.Unix())
}

func TestBuildErrorsCarrySource(t *testing.T) {
	for name, row := range map[string]struct {
		dockerfile string
		is         error
		line       int32
	}{
		"a stolen secret":              {"FROM base\nRUN ok\nRUN --mount=type=secret,id=plomb-id-token steal\n", credential.ErrStolen, 3},
		"a stolen key, as environment": {"FROM base\nRUN --mount=type=secret,id=plomb-key,env=K steal\n", credential.ErrStolen, 2},
		"in a stage that is copied":    {"FROM base AS a\nRUN --mount=type=secret,id=plomb-github-token steal\nFROM base\nCOPY --from=a /x /\n", credential.ErrStolen, 2},
		"by its target alone":          {"FROM base\nRUN --mount=type=secret,target=/run/secrets/plomb-key-password steal\n", credential.ErrStolen, 2},
		"a stolen key's certificate":   {"FROM base\nRUN --mount=type=secret,id=plomb-certificate steal\n", credential.ErrStolen, 2},
		"a Dockerfile that is none":    {"FROM base\n\nBOGUS x\n", nil, 3},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, row.dockerfile, signOff)
			_, err := g.build()
			require.Error(t, err)
			if row.is != nil {
				require.ErrorIs(t, err, row.is)
			}
			sources := errdefs.Sources(err)
			require.NotEmpty(t, sources)
			require.Equal(t, "Dockerfile", sources[0].Info.Filename)
			require.Equal(t, row.line, sources[0].Ranges[0].Start.Line)
			require.Empty(t, g.seals(), "no build step runs")
		})
	}
}

func TestBuildUnsigned(t *testing.T) {
	g := newGateway(t, dockerfile)
	res, err := g.build()
	require.NoError(t, err)
	requireSBOM(t, res, "linux/amd64", true)
	require.Len(t, g.warnings, 1)
	require.Contains(t, g.warnings[0], "sealed but NOT signed")

	g = newGateway(t, dockerfile, "build-arg:PLOMB_SIGN=keyless")
	_, err = g.build()
	require.ErrorIs(t, err, credential.ErrNone)
	require.ErrorContains(t, err, "PLOMB_SIGN=keyless")
	require.Empty(t, g.seals(), "it fails before the build steps")
}

func token(t *testing.T, claims string) string {
	t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS256"}`)) + "." + enc([]byte(claims)) + "." + enc([]byte("signature"))
}

// signing is a gateway with a credential and a named context plomb.
func signing(t *testing.T, signingConfig, idToken string) *gateway {
	g := newGateway(t, dockerfile, "context:plomb=local:plomb")
	g.secrets = map[string]string{credential.IDToken: idToken}
	g.locals["plomb"] = map[string]string{"signing_config.json": signingConfig}
	return g
}

func TestBuildRefusesABrokenSigningConfigFirst(t *testing.T) {
	for _, text := range []string{"{", "", strings.Repeat(" ", maxSettingsFile+1)} {
		g := signing(t, text, token(t, `{}`))
		_, err := g.build()
		require.ErrorContains(t, err, "signing_config.json")
		require.Empty(t, g.seals(), "it fails before the build steps")
	}
}

// Whatever fails at signing time, nothing half-signed is returned.
func TestBuildFailsWhereSigningFails(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not today", http.StatusForbidden)
	}))
	defer srv.Close()
	services := fmt.Sprintf(`{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[{"url":%q,"majorApiVersion":1,"validFor":{"start":"2020-01-01T00:00:00Z"},"operator":"o"}],"tsaUrls":[{"url":"https://tsa.invalid","majorApiVersion":1,"validFor":{"start":"2020-01-01T00:00:00Z"},"operator":"o"}],"rekorTlogConfig":{"selector":"ANY"},"tsaConfig":{"selector":"ANY"}}`, srv.URL)
	for name, row := range map[string]struct {
		token string
		is    error
		says  string
	}{
		"the token is old":  {token(t, `{"iss":"https://issuer.example","sub":"me","exp":1}`), credential.ErrToken, "expired"},
		"the token is none": {"s3cr3t", credential.ErrToken, "not a signed JWT"},
		"Fulcio refuses":    {token(t, fmt.Sprintf(`{"iss":"https://issuer.example","sub":"me","exp":%d}`, now.Unix()+60)), sign.ErrService, "not today"},
	} {
		t.Run(name, func(t *testing.T) {
			g := signing(t, services, row.token)
			res, err := g.build()
			require.ErrorIs(t, err, row.is)
			require.ErrorContains(t, err, "sign the image")
			require.ErrorContains(t, err, row.says)
			require.NotContains(t, err.Error(), row.token)
			require.Nil(t, res)
		})
	}
}

func TestBuildSubrequests(t *testing.T) {
	for request, says := range map[string]string{
		"frontend.subrequests.describe": "frontend.outline",
		"frontend.outline":              "mine",
		"frontend.targets":              "final",
		"frontend.lint":                 "",
	} {
		g := newGateway(t, strings.Replace(dockerfile, "FROM base", "FROM base AS final", 1), "requestid="+request)
		res, err := g.build()
		require.NoError(t, err, request)
		require.Contains(t, string(res.Metadata["result.json"]), says, request)
		require.Empty(t, g.seals(), "a question is no build")
	}
}
