// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTakeOptionsDefaults(t *testing.T) {
	for _, args := range []map[string]string{nil, {}, {"VERSION": "1", "plomb_sign": "x", "MY_PLOMB_SIGN": "x"}} {
		kept := maps.Clone(args)
		got, err := takeOptions(args)
		require.NoError(t, err)
		require.Equal(t, Options{Sign: SignAuto, Scrub: true, SBOM: SBOMPackages}, got)
		require.Equal(t, kept, args, "what is not plomb's stays")
	}
}

func TestTakeOptions(t *testing.T) {
	standard := Options{Sign: SignAuto, Scrub: true, SBOM: SBOMPackages}
	with := func(change func(*Options)) Options {
		o := standard
		change(&o)
		return o
	}
	for arg, want := range map[string]Options{
		"PLOMB_SIGN=auto":         standard,
		"PLOMB_SIGN=keyless":      with(func(o *Options) { o.Sign = SignKeyless }),
		"PLOMB_SIGN=key":          with(func(o *Options) { o.Sign = SignKey }),
		"PLOMB_SIGN=off":          with(func(o *Options) { o.Sign = SignOff }),
		"PLOMB_LAYERS=keep":       standard,
		"PLOMB_LAYERS=squash":     with(func(o *Options) { o.Squash = true }),
		"PLOMB_SCRUB=on":          standard,
		"PLOMB_SCRUB=off":         with(func(o *Options) { o.Scrub = false }),
		"PLOMB_SBOM=packages":     with(func(o *Options) { o.SBOMAsked = true }),
		"PLOMB_SBOM=files":        with(func(o *Options) { o.SBOM, o.SBOMAsked = SBOMFiles, true }),
		"PLOMB_SBOM=off":          with(func(o *Options) { o.SBOM, o.SBOMAsked = SBOMOff, true }),
		"PLOMB_SUBJECTS=image-id": standard,
		"PLOMB_REPOSITORY=registry.example.com/team/app": with(func(o *Options) { o.Repository = "registry.example.com/team/app" }),
		"PLOMB_REPOSITORY=127.0.0.1:5000/app":            with(func(o *Options) { o.Repository = "127.0.0.1:5000/app" }),
		"PLOMB_REPOSITORY=team/app":                      with(func(o *Options) { o.Repository = "docker.io/team/app" }),
		"PLOMB_REPOSITORY=app":                           with(func(o *Options) { o.Repository = "docker.io/library/app" }),
	} {
		t.Run(arg, func(t *testing.T) {
			name, value, _ := strings.Cut(arg, "=")
			args := map[string]string{name: value, "VERSION": "1"}
			got, err := takeOptions(args)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, map[string]string{"VERSION": "1"}, args, "plomb's own must reach no build step")
		})
	}
}

func TestTakeOptionsRefuses(t *testing.T) {
	// A bad value is answered with the allowed ones, whichever they are.
	for _, opt := range options {
		if opt.values == nil {
			continue
		}
		for _, bad := range []string{"", "yes", strings.ToUpper(opt.values[0]), opt.values[0] + " "} {
			_, err := takeOptions(map[string]string{opt.name: bad})
			require.ErrorIs(t, err, ErrOption)
			require.ErrorContains(t, err, opt.name+`="`+bad+`": allowed values are `+strings.Join(opt.values, ", "))
		}
	}
	for arg, says := range map[string]string{
		"PLOMB_SIGNS=off":                          "PLOMB_SIGNS is not known",
		"PLOMB_=x":                                 "PLOMB_ is not known",
		"PLOMB_sign=off":                           "PLOMB_sign is not known",
		"PLOMB_REPOSITORY=":                        "PLOMB_REPOSITORY",
		"PLOMB_REPOSITORY=Example.com/UPPER":       "allowed is a name like registry.example.com/team/app",
		"PLOMB_REPOSITORY=https://example.com/app": "allowed is a name like",
		"PLOMB_REPOSITORY=example.com/app:v1":      "leave out the tag",
		"PLOMB_REPOSITORY=example.com/app@sha256:" + strings.Repeat("0", 64): "leave out the tag and the digest",
	} {
		name, value, _ := strings.Cut(arg, "=")
		_, err := takeOptions(map[string]string{name: value})
		require.ErrorIs(t, err, ErrOption, arg)
		require.ErrorContains(t, err, says, arg)
	}
	_, err := takeOptions(map[string]string{"PLOMB_B": "", "PLOMB_A": "", "PLOMB_SIGN": "off"})
	require.ErrorContains(t, err, "PLOMB_A, PLOMB_B is not known")
	for _, opt := range options {
		require.ErrorContains(t, err, opt.name, "the message lists all that there are")
	}
}

func TestCheckCaps(t *testing.T) {
	for _, good := range []string{"", "moby.buildkit.frontend.inputs", "moby.buildkit.frontend.contexts+forward",
		"moby.buildkit.frontend.inputs,moby.buildkit.frontend.subrequests+forward,moby.buildkit.frontend.gitquerystring"} {
		require.NoError(t, checkCaps(good), good)
	}
	for _, bad := range []string{"moby.buildkit.frontend.tomorrow", "moby.buildkit.frontend.inputs,x.y+forward", ",", "moby"} {
		err := checkCaps(bad)
		require.ErrorIs(t, err, errCaps, bad)
		require.ErrorContains(t, err, "use a newer plomb frontend")
	}
}
