// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/decision"
)

var (
	noon  = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	image = digest.FromString("image")
)

func denied() *decision.Decision {
	return &decision.Decision{
		Verdict: decision.Deny, Code: "unsigned", Reason: "no signature",
		Image: decision.Image{Name: "registry.example/app:v1", Digest: image},
	}
}

func rules(t *testing.T) Rules {
	t.Helper()
	dir := t.TempDir()
	return RulesOf(settings.Settings{State: dir, Config: filepath.Join(dir, "node.yaml")})
}

// put writes a file exactly so.
func put(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
	require.NoError(t, os.Chmod(path, mode))
}

const (
	auditMode = `{"mode":"audit","since":"2026-02-03T00:00:00Z"}`
	openGlass = `{"reason":"registry is down, INC-7","since":"2026-02-03T11:00:00Z","until":"2026-02-03T13:00:00Z"}`
)

func pinned(digests ...digest.Digest) Snapshot {
	return Snapshot{TakenAt: noon.Add(-time.Hour), Images: []Pinned{{Name: "registry.example/old:v1", Digests: digests}}}
}

func TestDecisionStandsWithoutFiles(t *testing.T) {
	for verdict, admitted := range map[decision.Verdict]bool{
		decision.Allow: true, decision.Deny: false, decision.Undecided: false, "": false, "Allow": false,
	} {
		d := denied()
		d.Verdict = verdict
		out := rules(t).Admit(d, noon)
		require.Equal(t, admitted, out.Admitted, verdict)
		require.Equal(t, ByDecision, out.By)
		require.Equal(t, Enforce, out.Mode)
		require.Empty(t, out.Faults)
		require.True(t, out.Enforced())
		require.Same(t, d, out.Decision)
		require.Equal(t, d.Line(), out.Line())
	}
}

func TestModesAdmit(t *testing.T) {
	for mode, admitted := range map[Mode]bool{Audit: true, Warn: true, Enforce: false} {
		r := rules(t)
		require.NoError(t, WriteMode(r.Mode, State{Mode: mode, Since: noon}))
		out := r.Admit(denied(), noon)
		require.Equal(t, admitted, out.Admitted)
		require.Equal(t, mode, out.Mode)
		require.Equal(t, decision.Deny, out.Decision.Verdict, "it is written down as it was decided")
		require.Equal(t, !admitted, out.Enforced())
		if admitted {
			require.Equal(t, ByMode, out.By)
			require.True(t, strings.HasPrefix(out.Line(), string(mode)+" mode, admitted: denied: "))
		}
	}
	require.Error(t, WriteMode(rules(t).Mode, State{Mode: "off"}))
}

// A mode that cannot be relied on counts as enforce, and says so.
func TestBrokenModeEnforces(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"empty":            func(t *testing.T, path string) { put(t, path, "", 0o600) },
		"cut":              func(t *testing.T, path string) { put(t, path, auditMode[:20], 0o600) },
		"null":             func(t *testing.T, path string) { put(t, path, "null", 0o600) },
		"another mode":     func(t *testing.T, path string) { put(t, path, `{"mode":"off"}`, 0o600) },
		"in capitals":      func(t *testing.T, path string) { put(t, path, `{"mode":"AUDIT"}`, 0o600) },
		"two modes":        func(t *testing.T, path string) { put(t, path, `{"mode":"enforce","mode":"audit"}`, 0o600) },
		"two spellings":    func(t *testing.T, path string) { put(t, path, `{"mode":"enforce","Mode":"audit"}`, 0o600) },
		"unknown member":   func(t *testing.T, path string) { put(t, path, `{"mode":"audit","for":"all"}`, 0o600) },
		"two documents":    func(t *testing.T, path string) { put(t, path, auditMode+auditMode, 0o600) },
		"too large":        func(t *testing.T, path string) { put(t, path, auditMode+strings.Repeat(" ", maxState), 0o600) },
		"a folder":         func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) },
		"a pipe":           func(t *testing.T, path string) { require.NoError(t, syscall.Mkfifo(path, 0o600)) },
		"others can write": func(t *testing.T, path string) { put(t, path, auditMode, 0o602) },
		"a group can":      func(t *testing.T, path string) { put(t, path, auditMode, 0o660) },
		"a link": func(t *testing.T, path string) {
			put(t, path+".real", auditMode, 0o600)
			require.NoError(t, os.Symlink(path+".real", path))
		},
		"a link to nowhere": func(t *testing.T, path string) { require.NoError(t, os.Symlink(path+".absent", path)) },
	} {
		r := rules(t)
		spoil(t, r.Mode)
		state, err := ReadMode(r.Mode)
		require.ErrorIs(t, err, ErrFile, name)
		require.ErrorContains(t, err, "it counts as enforce", name)
		require.Equal(t, Enforce, state.Mode, name)
		out := r.Admit(denied(), noon)
		require.False(t, out.Admitted, name)
		require.Len(t, out.Faults, 1, name)
	}
}

func TestModeCanBeReadByOthers(t *testing.T) {
	r := rules(t)
	put(t, r.Mode, auditMode, 0o644)
	require.True(t, r.Admit(denied(), noon).Admitted)
}

func TestBreakGlassOpens(t *testing.T) {
	r := rules(t)
	put(t, r.BreakGlass, openGlass, 0o600)
	out := r.Admit(denied(), noon)
	require.True(t, out.Admitted)
	require.Equal(t, ByBreakGlass, out.By)
	require.Equal(t, "registry is down, INC-7, until 2026-02-03T13:00:00Z", out.Note)
	require.False(t, out.Enforced())
	require.Contains(t, out.Line(), "the glass is broken (registry is down, INC-7")
	require.Contains(t, out.Line(), "denied: registry.example/app:v1@"+image.String())

	for name, now := range map[string]time.Time{
		"not yet": noon.Add(-2 * time.Hour), "at its end": noon.Add(time.Hour), "long after": noon.AddDate(1, 0, 0),
	} {
		out := r.Admit(denied(), now)
		require.False(t, out.Admitted, name)
		require.Empty(t, out.Faults, "that it is over is no fault")
	}
}

func TestBreakGlassThatDoesNotOpen(t *testing.T) {
	glass := func(reason, since, until string) string {
		return fmt.Sprintf(`{"reason":%q,"since":%q,"until":%q}`, reason, since, until)
	}
	for name, test := range map[string]struct {
		text   string
		mode   os.FileMode
		reason string
	}{
		"others can read":  {openGlass, 0o644, "chmod 600 it"},
		"others can write": {openGlass, 0o602, "chmod 600 it"},
		"a group can read": {openGlass, 0o640, "chmod 600 it"},
		"no reason":        {glass("", "2026-02-03T11:00:00Z", "2026-02-03T13:00:00Z"), 0o600, "no reason"},
		"blank reason":     {glass(" \t", "2026-02-03T11:00:00Z", "2026-02-03T13:00:00Z"), 0o600, "no reason"},
		"endless reason":   {glass(strings.Repeat("x", 1001), "2026-02-03T11:00:00Z", "2026-02-03T13:00:00Z"), 0o600, "at most 1000"},
		"thirteen hours":   {glass("x", "2026-02-03T11:00:00Z", "2026-02-04T00:00:00Z"), 0o600, "lasts 13h0m0s, want at most 12h0m0s"},
		"for ever":         {glass("x", "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z"), 0o600, "want at most"},
		"no beginning":     {`{"reason":"x","until":"2026-02-03T13:00:00Z"}`, 0o600, "want at most"},
		"backwards":        {glass("x", "2026-02-03T13:00:00Z", "2026-02-03T11:00:00Z"), 0o600, "ends before it begins"},
		"repeated key":     {strings.Replace(openGlass, `{`, `{"until":"2026-02-03T11:30:00Z",`, 1), 0o600, "repeated key"},
		"unknown member":   {strings.Replace(openGlass, `{`, `{"images":"app",`, 1), 0o600, "unknown field"},
		"cut":              {openGlass[:30], 0o600, "strict JSON"},
		"empty":            {"", 0o600, "strict JSON"},
		"null":             {"null", 0o600, "no reason"},
		"too large":        {openGlass + strings.Repeat(" ", maxState), 0o600, "too large"},
	} {
		r := rules(t)
		put(t, r.BreakGlass, test.text, test.mode)
		out := r.Admit(denied(), noon)
		require.False(t, out.Admitted, name)
		require.Len(t, out.Faults, 1, name)
		require.ErrorIs(t, out.Faults[0], ErrFile, name)
		require.ErrorContains(t, out.Faults[0], test.reason, name)
	}
}

func TestBreakGlassThatIsNoFile(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"a link": func(path string) error {
			put(t, path+".real", openGlass, 0o600)
			return os.Symlink(path+".real", path)
		},
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		r := rules(t)
		require.NoError(t, spoil(r.BreakGlass))
		out := r.Admit(denied(), noon)
		require.False(t, out.Admitted, name)
		require.ErrorContains(t, out.Faults[0], "no regular file", name)
	}
}

func TestFilesOfAnotherUserDoNotCount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	r := rules(t)
	put(t, r.Mode, auditMode, 0o600)
	put(t, r.BreakGlass, openGlass, 0o600)
	require.NoError(t, WriteSnapshot(r.Snapshot, pinned(image)))
	for _, path := range []string{r.Mode, r.BreakGlass, r.Snapshot} {
		require.NoError(t, os.Chown(path, 65534, 65534))
	}
	out := r.Admit(denied(), noon)
	require.False(t, out.Admitted)
	require.Len(t, out.Faults, 3)
	for _, fault := range out.Faults {
		require.ErrorContains(t, fault, "not owned by the user that decides")
	}
}

func TestWriteBreakGlassChecks(t *testing.T) {
	r := rules(t)
	require.Error(t, WriteBreakGlass(r.BreakGlass, BreakGlass{Reason: "x", Since: noon, Until: noon.Add(13 * time.Hour)}))
	require.NoFileExists(t, r.BreakGlass)
	b := BreakGlass{Reason: "x\n\x1b[31my", Since: noon, Until: noon.Add(MaxBreakGlass)}
	require.NoError(t, WriteBreakGlass(r.BreakGlass, b))
	info, err := os.Stat(r.BreakGlass)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	got, err := ReadBreakGlass(r.BreakGlass, noon)
	require.NoError(t, err)
	require.Equal(t, b, *got)
	require.Equal(t, "x; ?[31my, until 2026-02-04T00:00:00Z", got.String())
}

func TestSnapshotAdmits(t *testing.T) {
	manifest, config, stranger := digest.FromString("manifest"), digest.FromString("config"), digest.FromString("evil")
	for name, test := range map[string]struct {
		pinned, others []digest.Digest
		admitted       bool
	}{
		"the very digest":                       {[]digest.Digest{image}, nil, true},
		"its manifest and config":               {[]digest.Digest{manifest, config}, []digest.Digest{manifest, config}, true},
		"nothing of it":                         {[]digest.Digest{stranger}, []digest.Digest{manifest, config}, false},
		"a pinned manifest beside a stranger's": {[]digest.Digest{manifest, config}, []digest.Digest{manifest, stranger, config}, false},
		"no digests":                            {[]digest.Digest{manifest}, []digest.Digest{""}, false},
	} {
		r := rules(t)
		require.NoError(t, WriteSnapshot(r.Snapshot, pinned(test.pinned...)))
		out := r.Admit(denied(), noon, test.others...)
		require.Equal(t, test.admitted, out.Admitted, name)
		require.Empty(t, out.Faults)
		if test.admitted {
			require.Equal(t, BySnapshot, out.By)
			require.Contains(t, out.Line(), "admitted by the node's snapshot (on the node since before 2026-02-03T11:00:00Z as registry.example/old:v1)")
			require.True(t, out.Enforced())
		}
	}
	empty := pinned("")
	require.Empty(t, empty.Has(""), "no digest is not the same as no digest")
}

// Somebody named this very image or its signer; that it was there before does
// not help it.
func TestDenyListIsStrongerThanSnapshot(t *testing.T) {
	r := rules(t)
	require.NoError(t, WriteSnapshot(r.Snapshot, pinned(image)))
	d := denied()
	d.Code = codeDenyList
	require.False(t, r.Admit(d, noon).Admitted)
}

func TestBrokenSnapshotPinsNothing(t *testing.T) {
	good := fmt.Sprintf(`{"takenAt":"2026-02-03T11:00:00Z","images":[{"name":"old","digests":[%q]}]}`, image)
	for name, test := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"cut":              {good[:len(good)-2], 0o600},
		"no digest":        {strings.Replace(good, image.Encoded(), "abc", 1), 0o600},
		"unknown member":   {strings.Replace(good, "{", `{"all":true,`, 1), 0o600},
		"repeated key":     {strings.Replace(good, "{", `{"images":[],`, 1), 0o600},
		"others can write": {good, 0o606},
		"too large":        {good + strings.Repeat(" ", maxSnapshot), 0o600},
	} {
		r := rules(t)
		put(t, r.Snapshot, test.text, test.mode)
		out := r.Admit(denied(), noon)
		require.False(t, out.Admitted, name)
		require.Len(t, out.Faults, 1, name)
		require.ErrorIs(t, out.Faults[0], ErrFile, name)
	}
	r := rules(t)
	put(t, r.Snapshot, good, 0o644)
	require.True(t, r.Admit(denied(), noon).Admitted)
}

// An allowed image needs no exception: that nothing could be read changes
// nothing but the faults.
func TestAllowedImageNeedsNoFiles(t *testing.T) {
	r := rules(t)
	put(t, r.Mode, "{", 0o600)
	put(t, r.BreakGlass, "{", 0o600)
	d := denied()
	d.Verdict = decision.Allow
	out := r.Admit(d, noon)
	require.True(t, out.Admitted)
	require.Equal(t, ByDecision, out.By)
	require.Len(t, out.Faults, 1)
}
