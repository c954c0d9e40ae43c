// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sealing

import (
	"archive/tar"
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// created is when the bases of hack/base say they were made: T.
var created = time.Unix(1735689600, 0)

// Names are bytes: only NUL and the slash are special.
func TestNames(t *testing.T) {
	long := strings.Repeat("n", 255)
	deep := strings.Repeat("deep/", 300)
	img := sources{dockerfile: "FROM " + base(t, "busybox") + `
RUN mkdir /names && cd /names && for n in "$(printf 'new\nline')" "$(printf 'bad\377utf8')" "$(printf 'tab\there')" \
      ' space ' '-dash' '*' '"quote' 'back\slash' 'ü' '` + long + `'; do echo "$n" > "./$n" && ln -s -- "$n" "./l$(echo "$n" | wc -c)"; done
RUN mkdir -p /` + deep + ` && cd /` + deep + ` && echo deep > file
RUN cd /names && rm -- *line && echo changed > './-dash'
`}.same(t)
	made := img.entries(t, 1)
	for _, name := range []string{"new\nline", "bad\xffutf8", "tab\there", " space ", "-dash", "*", `"quote`, `back\slash`, "ü", long} {
		require.Contains(t, made, "names/"+name)
	}
	require.Equal(t, "deep\n", img.entries(t, 2)[deep+"file"].content)
	changed := img.entries(t, 3)
	require.Contains(t, changed, "names/.wh.new\nline")
	require.Equal(t, "changed\n", changed["names/-dash"].content)
	require.Len(t, changed, 3, "the folder and these two")
}

// oddBase is a root file system with times that no build of today makes.
func oddBase(t *testing.T) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		at   time.Time
	}{
		{"odd/", created.AddDate(40, 0, 0)},
		{"odd/later/", created.Add(time.Hour + 5e8)},
		{"odd/later/file", created.AddDate(30, 0, 0)},
		{"odd/later/kept", created.AddDate(30, 0, 0)},
		{"odd/fraction/", time.Unix(1600000000, 123456789)},
		{"odd/fraction/file", time.Unix(1600000000, 999999999)},
		{"odd/zero/", time.Unix(0, 0)},
		{"odd/zero/file", time.Unix(0, 0)},
		{"odd/negative/", time.Unix(-1000, 0)},
		{"odd/negative/file", time.Unix(-86400*365, 5e8)},
	} {
		h := &tar.Header{Name: f.name, Mode: 0o755, ModTime: f.at, Format: tar.FormatPAX, Typeflag: tar.TypeDir}
		if !strings.HasSuffix(f.name, "/") {
			h.Typeflag, h.Size = tar.TypeReg, 2
		}
		require.NoError(t, w.WriteHeader(h))
		if h.Size > 0 {
			_, err := w.Write([]byte("x\n"))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return b.String()
}

// A base's own layers stay as they are, whatever times they hold. What a step
// writes near them is clamped: its folders too, as the tar repeats them.
func TestBaseWithOddTimes(t *testing.T) {
	ref := sources{
		dockerfile: "FROM " + base(t, "busybox") + "\nADD odd.tar /\n",
		files:      map[string]string{"odd.tar": oddBase(t)},
	}.stock(t, "odd")
	img := sources{dockerfile: "FROM " + ref + `
RUN for d in later fraction zero negative; do echo y >> /odd/$d/file; done
RUN for d in later fraction zero negative; do touch -d @0 /odd/$d/new; done
RUN rm /odd/later/kept
RUN true
`}.same(t)
	for name, e := range img.entries(t, -4) {
		require.False(t, e.ModTime.After(created), "%s: %s", name, e.ModTime)
		require.Zero(t, e.ModTime.Nanosecond(), name)
	}
	touched := img.entries(t, -3)
	for _, d := range []string{"later", "fraction", "zero", "negative"} {
		require.True(t, touched["odd/"+d+"/new"].ModTime.Equal(time.Unix(0, 0)), "%s: an early time is somebody's choice", d)
	}
	require.Contains(t, img.entries(t, -2), "odd/later/.wh.kept")
	require.Empty(t, img.entries(t, -1))
}

// Owners by name are those of the image; modes and capabilities are carried over.
func TestOwnersModesCapabilities(t *testing.T) {
	img := sources{
		dockerfile: "FROM " + base(t, "busybox") + `
RUN echo app:x:4321:1234::/:/bin/sh >> /etc/passwd && echo team:x:1234: >> /etc/group
COPY --chown=app:team --chmod=0640 file /by-name/file
RUN mkdir -p /closed/in && echo secret > /closed/in/none && chmod 000 /closed/in/none && chmod 555 /closed /closed/in && chown -R app:team /closed
RUN echo more > /closed/in/later
RUN echo and more >> /closed/in/none && chmod 4755 /by-name/file
`, files: map[string]string{"file": "f"},
	}.same(t)
	byName := img.entries(t, 2)["by-name/file"]
	require.Equal(t, []int{4321, 1234, 0o640}, []int{byName.Uid, byName.Gid, int(byName.Mode)})
	closed := img.entries(t, 3)
	require.EqualValues(t, 0o555, closed["closed/in/"].Mode)
	require.EqualValues(t, 0, closed["closed/in/none"].Mode)
	require.Equal(t, 4321, closed["closed/in/none"].Uid)
	require.EqualValues(t, 0o555, img.entries(t, 4)["closed/in/"].Mode)
	last := img.entries(t, 5)
	require.Equal(t, "secret\nand more\n", last["closed/in/none"].content)
	require.EqualValues(t, 0o4755, last["by-name/file"].Mode)
}

func TestScratchWithOneProgram(t *testing.T) {
	img := sources{dockerfile: "FROM " + base(t, "busybox") + ` AS made
RUN cp /bin/busybox /program
FROM scratch
COPY --from=made /program /program
ENTRYPOINT ["/program"]
`}.same(t)
	require.Len(t, img.layers, 1)
	entries := img.entries(t, 0)
	require.Len(t, entries, 1)
	require.EqualValues(t, 0o755, entries["program"].Mode)
	require.True(t, entries["program"].ModTime.Equal(time.Unix(0, 0)), "T of an image from scratch")
}

func TestSquash(t *testing.T) {
	src := sources{dockerfile: "FROM " + base(t, "busybox") + "\nRUN echo 1 > /one && echo gone > /gone\nRUN rm /gone && echo 2 > /two\nRUN true\n"}
	img := src.same(t, "--build-arg", "PLOMB_LAYERS=squash")
	require.Len(t, img.layers, 2)
	entries := img.entries(t, -1)
	require.Len(t, entries, 2, "what came and went is not there")
	require.Equal(t, "2\n", entries["two"].content)
	require.Len(t, src.build(t, overlayfs).layers, 1+3)
}

// What --no-cache runs again is sealed again, even if all its inputs are those
// of a build before.
func TestNoCacheSealsAnew(t *testing.T) {
	src := sources{dockerfile: "FROM " + base(t, "busybox") + "\nRUN head -c 16 /dev/urandom > /random\nRUN cp /random /copy\n"}
	first, cached, anew := src.build(t, overlayfs), src.build(t, overlayfs), src.build(t, overlayfs, "--no-cache")
	require.Equal(t, first.manifest, cached.manifest)
	require.NotEqual(t, first.entries(t, -1)["copy"].content, anew.entries(t, -1)["copy"].content)
	require.Equal(t, anew.entries(t, -2)["random"].content, anew.entries(t, -1)["copy"].content)
}

func TestEmptyLayersOnly(t *testing.T) {
	img := sources{dockerfile: "FROM " + base(t, "busybox") + "\nRUN true\nWORKDIR /tmp\nRUN touch /etc/passwd\n"}.same(t)
	require.Len(t, img.layers, 1+3)
	for i := 1; i < 4; i++ {
		require.Empty(t, img.entries(t, i))
	}
}
