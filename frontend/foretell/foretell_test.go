// SPDX-License-Identifier: Apache-2.0

package foretell_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/foretell"
)

func at(year int) *time.Time {
	t := time.Date(year, 2, 3, 4, 5, 6, 0, time.UTC)
	return &t
}

func ids(n int) []digest.Digest {
	out := []digest.Digest{}
	for i := range n {
		out = append(out, digest.FromString(fmt.Sprint(i)))
	}
	return out
}

// layer and meta are history entries.
func layer(by string, created *time.Time) ocispecs.History {
	return ocispecs.History{CreatedBy: by, Created: created}
}

func meta(by string, created *time.Time) ocispecs.History {
	return ocispecs.History{CreatedBy: by, Created: created, EmptyLayer: true}
}

func image(created *time.Time, diffIDs int, history ...ocispecs.History) *dockerspec.DockerOCIImage {
	img := &dockerspec.DockerOCIImage{}
	img.OS, img.Architecture = "linux", "amd64"
	img.Created = created
	img.RootFS = ocispecs.RootFS{Type: "layers", DiffIDs: ids(diffIDs)}
	img.History = history
	return img
}

// build does to a base image what dockerfile2llb does: it forgets when the
// base was made and adds history.
func build(base *dockerspec.DockerOCIImage, known bool, history ...ocispecs.History) foretell.Image {
	img := *base
	img.Created = nil
	img.History = append(slices.Clone(base.History), history...)
	if !known {
		return foretell.Image{Config: &img}
	}
	return foretell.Image{Config: &img, Base: base}
}

// images are builds with the number of layers that they add.
func images() map[string]func() (foretell.Image, int) {
	tokyo := time.Date(2022, 2, 3, 4, 5, 6, 7, time.FixedZone("", 9*3600))
	return map[string]func() (foretell.Image, int){
		"scratch": func() (foretell.Image, int) {
			return build(image(nil, 0), false, layer("COPY", nil), meta("CMD", nil), layer("RUN", nil)), 2
		},
		"scratch, no layer": func() (foretell.Image, int) {
			return build(image(nil, 0), false, meta("LABEL", nil)), 0
		},
		"scratch, nothing": func() (foretell.Image, int) { return build(image(nil, 0), false), 0 },
		"base": func() (foretell.Image, int) {
			return build(image(at(2020), 2, layer("ADD", at(2019)), meta("CMD", at(2019)), layer("RUN", at(2020))), true,
				layer("RUN", nil), meta("ENV", nil), layer("COPY", nil)), 2
		},
		"base with times in another zone": func() (foretell.Image, int) {
			return build(image(&tokyo, 1, layer("ADD", &tokyo)), true, layer("RUN", nil)), 1
		},
		"base, nothing added": func() (foretell.Image, int) {
			return build(image(at(2020), 1, layer("ADD", at(2020)), meta("CMD", at(2020))), true), 0
		},
		"base, only settings added": func() (foretell.Image, int) {
			return build(image(at(2020), 1, layer("ADD", at(2020))), true, meta("ENV", nil), meta("CMD", nil)), 0
		},
		"base without times": func() (foretell.Image, int) {
			return build(image(nil, 2, layer("ADD", nil), meta("CMD", nil), layer("RUN", nil)), true, layer("RUN", nil)), 1
		},
		"base with a hole in its times": func() (foretell.Image, int) {
			return build(image(at(2020), 3, layer("ADD", at(2018)), layer("RUN", nil), layer("RUN", at(2035)), meta("CMD", at(2020))), true, layer("RUN", nil)), 1
		},
		"base that is later than everything": func() (foretell.Image, int) {
			return build(image(at(2035), 1, layer("ADD", at(2035)), meta("CMD", at(2035))), true, layer("RUN", nil)), 1
		},
		"base that tells a zero time": func() (foretell.Image, int) {
			return build(image(&time.Time{}, 1, layer("ADD", &time.Time{})), true, layer("RUN", nil)), 1
		},
		"base of a named context": func() (foretell.Image, int) {
			return build(image(at(2020), 2, layer("ADD", at(2019)), layer("RUN", at(2035)), meta("CMD", at(2020))), false, layer("RUN", nil)), 1
		},
		"base of a named context, without times": func() (foretell.Image, int) {
			return build(image(nil, 1, layer("ADD", nil), meta("CMD", nil)), false, layer("RUN", nil)), 1
		},
		"entries with a time of their own": func() (foretell.Image, int) {
			return build(image(at(2020), 1, layer("ADD", at(2019))), true, layer("RUN", at(2035)), meta("CMD", at(2010))), 1
		},
		"squashed": func() (foretell.Image, int) {
			i := build(image(at(2020), 1, layer("ADD", at(2019))), true, layer("RUN", nil), meta("ENV", nil), layer("COPY", nil), meta("CMD", nil))
			i.Squash()
			return i, 1
		},
		"squashed where nothing was told": func() (foretell.Image, int) {
			i := build(image(at(2020), 1, layer("ADD", at(2019))), true, meta("CMD", nil))
			i.Squash()
			return i, 1
		},
		"squashed scratch": func() (foretell.Image, int) {
			i := build(image(nil, 0), false, layer("COPY", nil), layer("COPY", nil))
			i.Squash()
			return i, 1
		},
		"squashed on a base without history": func() (foretell.Image, int) {
			i := build(image(at(2020), 3), true, meta("ENV", nil), layer("RUN", nil))
			i.Squash()
			return i, 1
		},
		"squashed on a base with half a history": func() (foretell.Image, int) {
			i := build(image(at(2020), 3, layer("ADD", at(2035)), meta("CMD", nil)), true, meta("ENV", nil))
			i.Squash()
			return i, 1
		},
		"all of Docker's fields": func() (foretell.Image, int) {
			i := build(image(at(2020), 1, layer("ADD <&>", at(2019))), true, layer("RUN a && b > c \u2028 é", nil))
			i.Config.Config.Healthcheck = &dockerspec.HealthcheckConfig{Test: []string{"CMD-SHELL", "a && b"}, Interval: time.Second, StartInterval: 5}
			i.Config.Config.OnBuild = []string{"RUN x > y"}
			i.Config.Config.Shell = []string{"/bin/sh", "-c"}
			i.Config.Config.Labels = map[string]string{"z": "<a href=\"x\">&</a>", "a": "\u2028\x01é😀"}
			i.Config.Config.Env = []string{"PATH=/bin", "X=<>"}
			i.Config.Config.ExposedPorts = map[string]struct{}{"80/tcp": {}}
			i.Config.Config.StopSignal = "SIGKILL"
			i.Config.Author, i.Config.Variant, i.Config.OSFeatures = "A <a@example.com>", "v8", []string{"x"}
			//lint:ignore SA1019 old images have it
			i.Config.Config.ArgsEscaped = true
			return i, 1
		},
	}
}

// The image ID that we sign is that of Config's bytes. The exporter starts from
// what json.Marshal makes of the same image, and must come to the same bytes;
// and from those bytes as well.
func TestConfigIsWhatTheExporterWrites(t *testing.T) {
	for _, epoch := range []*time.Time{nil, at(1999), at(2021), at(2034), ptr(time.Unix(0, 0))} {
		for name, make := range images() {
			t.Run(fmt.Sprint(name, " at ", epoch), func(t *testing.T) {
				img, layers := make()
				times := img.Times(epoch)
				diffIDs := append(slices.Clone(img.Config.RootFS.DiffIDs), ids(layers)...)
				config, err := foretell.Config(img, ids(layers), times)
				require.NoError(t, err)

				handed, err := json.Marshal(img.Config)
				require.NoError(t, err)
				e := exporter{layers: diffIDs, epoch: epoch, base: overTheWire(t, img.Base), cached: time.Now()}
				require.Equal(t, string(config), string(e.export(t, handed)), "the exporter comes to other bytes")
				require.Equal(t, string(config), string(e.export(t, config)), "the exporter changes the bytes")
				// A client may set the epoch in the exporter alone, and not know the base.
				e.epoch = &times.Created
				require.Equal(t, string(config), string(e.export(t, config)))
			})
		}
	}
}

func ptr(t time.Time) *time.Time { return &t }

func overTheWire(t *testing.T, img *dockerspec.DockerOCIImage) *dockerspec.DockerOCIImage {
	if img == nil {
		return nil
	}
	data, err := json.Marshal(img)
	require.NoError(t, err)
	var back dockerspec.DockerOCIImage
	require.NoError(t, json.Unmarshal(data, &back))
	return &back
}

func TestConfig(t *testing.T) {
	img, _ := images()["base"]()
	data, err := foretell.Config(img, ids(2), img.Times(at(2021)))
	require.NoError(t, err)
	require.Equal(t, strings.Join([]string{
		`{"architecture":"amd64","config":{},"created":"2021-02-03T04:05:06Z","history":[`,
		`{"created":"2019-02-03T04:05:06Z","created_by":"ADD"},`,
		`{"created":"2019-02-03T04:05:06Z","created_by":"CMD","empty_layer":true},`,
		`{"created":"2020-02-03T04:05:06Z","created_by":"RUN"},`,
		`{"created":"2021-02-03T04:05:06Z","created_by":"RUN"},`,
		`{"created":"2021-02-03T04:05:06Z","created_by":"ENV","empty_layer":true},`,
		`{"created":"2021-02-03T04:05:06Z","created_by":"COPY"}],`,
		`"os":"linux","rootfs":{"type":"layers","diff_ids":["` + string(ids(2)[0]) + `","` + string(ids(2)[1]) + `","` + string(ids(2)[0]) + `","` + string(ids(2)[1]) + `"]}}`,
	}, ""), string(data))
}

// Two platforms, or a base that is used twice, must not share what Config writes.
func TestConfigLeavesTheBaseAlone(t *testing.T) {
	base := image(at(2020), 1, layer("ADD", nil), meta("CMD", at(2035)))
	before, err := json.Marshal(base)
	require.NoError(t, err)
	for range 2 {
		img := build(base, true, layer("RUN", nil))
		_, err := foretell.Config(img, ids(1), img.Times(at(2021)))
		require.NoError(t, err)
	}
	after, err := json.Marshal(base)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

func TestConfigRefusesAnotherNumberOfLayers(t *testing.T) {
	for _, layers := range []int{0, 1, 3} {
		img, _ := images()["base"]()
		_, err := foretell.Config(img, ids(layers), img.Times(nil))
		require.ErrorIs(t, err, foretell.ErrHistory)
		require.ErrorContains(t, err, fmt.Sprintf("2 new layers in the history, %d in the image", layers))
	}
	// A base with more history than layers, or less, is never guessed at.
	img := build(image(at(2020), 0, layer("ADD", at(2020))), true)
	_, err := foretell.Config(img, nil, img.Times(nil))
	require.ErrorIs(t, err, foretell.ErrHistory)
}

func TestTimes(t *testing.T) {
	zero := time.Unix(0, 0).UTC()
	fraction := ptr(at(2020).Add(999 * time.Millisecond))
	for name, row := range map[string]struct {
		image          foretell.Image
		epoch          *time.Time
		clamp, created time.Time
	}{
		"scratch":                           {build(image(nil, 0), false, layer("RUN", nil)), nil, zero, zero},
		"scratch with an epoch":             {build(image(nil, 0), false, layer("RUN", nil)), at(2021), *at(2021), *at(2021)},
		"base":                              {build(image(at(2020), 1, layer("ADD", at(2019))), true), nil, *at(2020), *at(2020)},
		"base before the epoch":             {build(image(at(2020), 1, layer("ADD", at(2019))), true), at(2021), *at(2020), *at(2021)},
		"base after the epoch":              {build(image(at(2020), 1, layer("ADD", at(2019))), true), at(1999), *at(1999), *at(1999)},
		"base at the epoch":                 {build(image(at(2020), 1, layer("ADD", at(2019))), true), at(2020), *at(2020), *at(2020)},
		"base with a fraction":              {build(image(fraction, 1, layer("ADD", at(2019))), true), nil, *at(2020), *at(2020)},
		"base without a time":               {build(image(nil, 1, layer("ADD", at(2019)), meta("CMD", at(2018))), true), nil, *at(2019), *at(2019)},
		"base with a zero time":             {build(image(&time.Time{}, 1, layer("ADD", at(2019))), true), nil, *at(2019), *at(2019)},
		"base without any time":             {build(image(nil, 1, layer("ADD", nil)), true), nil, zero, zero},
		"named context":                     {build(image(at(2020), 2, layer("ADD", at(2017)), layer("RUN", at(2018))), false, layer("RUN", at(2035))), nil, *at(2018), *at(2018)},
		"named context with an early epoch": {build(image(at(2020), 1, layer("ADD", at(2017))), false), at(1999), *at(1999), *at(1999)},
	} {
		t.Run(name, func(t *testing.T) {
			got := row.image.Times(row.epoch)
			require.Equal(t, foretell.Times{Clamp: row.clamp, Created: row.created}, got)
			require.False(t, got.Clamp.After(got.Created))
		})
	}
}

func TestNewLayers(t *testing.T) {
	for name, make := range images() {
		img, layers := make()
		require.Equal(t, layers, img.NewLayers(), name)
	}
}

func TestSquash(t *testing.T) {
	base := image(at(2020), 1, layer("ADD", at(2020)), meta("CMD", at(2020)))
	for name, row := range map[string]struct {
		history []ocispecs.History
		want    string
	}{
		"two layers":     {[]ocispecs.History{layer("a", nil), meta("b", nil), layer("c", nil), meta("d", nil)}, "L--" + "-L-"},
		"one layer":      {[]ocispecs.History{meta("a", nil), layer("b", nil)}, "L--L"},
		"none is told":   {[]ocispecs.History{meta("a", nil)}, "L--L"},
		"nothing at all": {nil, "L-L"},
	} {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprint(name, known), func(t *testing.T) {
				img := build(base, known, row.history...)
				img.Squash()
				require.Equal(t, 1, img.NewLayers())
				got := ""
				for _, h := range img.Config.History {
					got += map[bool]string{true: "-", false: "L"}[h.EmptyLayer]
				}
				require.Equal(t, row.want, got)
				_, err := foretell.Config(img, ids(1), img.Times(nil))
				require.NoError(t, err)
			})
		}
	}
}

// OCI's history is optional. A base without it is sealed all the same, as its
// layers are known; where the base is not known, nothing is.
func TestSquashOnABaseWithoutHistory(t *testing.T) {
	img := build(image(at(2020), 2), true, meta("ENV", nil), layer("RUN", nil), layer("COPY", nil))
	img.Squash()
	require.Equal(t, 1, img.NewLayers())
	require.Len(t, img.Config.History, 5)
	require.Equal(t, []bool{false, false, true, true, false}, empty(img))

	unknown := build(image(at(2020), 2), false, layer("RUN", nil))
	unknown.Squash()
	_, err := foretell.Config(unknown, ids(1), unknown.Times(nil))
	require.ErrorIs(t, err, foretell.ErrHistory)
}

func empty(i foretell.Image) []bool {
	var out []bool
	for _, h := range i.Config.History {
		out = append(out, h.EmptyLayer)
	}
	return out
}
