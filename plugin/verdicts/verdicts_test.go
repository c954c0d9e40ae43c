// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
)

var (
	noon  = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	inUse = Basis{Policy: digest.FromString("policy"), Trust: digest.FromString("trust"), Verifier: "v1"}
	image = digest.FromString("index")
)

const name = "registry.example/shop/app:v1"

func decided(v decision.Verdict) *decision.Decision {
	return &decision.Decision{
		Schema: decision.Schema, Verdict: v, Reason: "because", Image: decision.Image{Name: name, Digest: image},
		Rules: []decision.Rule{}, Manifests: []decision.Manifest{}, Checks: []decision.Check{}, DecidedAt: noon,
		Basis: decision.Basis{
			Policy: inUse.Policy, Manifests: []digest.Digest{digest.FromString("manifest")}, Configs: []digest.Digest{digest.FromString("config")},
		},
	}
}

// faults collects what the store reports.
type faults struct {
	mu   sync.Mutex
	list []error
}

func (f *faults) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, err)
}

func open(t *testing.T, dir string) (*Store, *faults) {
	t.Helper()
	f := &faults{}
	s, err := Open(dir, Options{Fault: f.add})
	require.NoError(t, err)
	return s, f
}

func TestAnAllowSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	s.Put(inUse, decided(decision.Allow), false)
	for range 2 {
		require.Equal(t, decided(decision.Allow), s.Get(inUse, name, image, noon))
		for _, part := range []string{"index", "manifest", "config"} {
			require.Len(t, s.Find(inUse, noon, digest.FromString("other"), digest.FromString(part)), 1, part)
		}
		require.Empty(t, s.Find(inUse, noon, digest.FromString("other")))
		require.Equal(t, 1, s.Len())
		var f *faults
		s, f = open(t, dir)
		require.Empty(t, f.list)
	}
}

// A verdict counts for what it was about, while it is in force.
func TestWhatDoesNotCount(t *testing.T) {
	soon := noon.Add(time.Minute)
	for _, c := range []struct {
		name  string
		basis func(*Basis)
		ref   string
		dgst  digest.Digest
		spoil func(*decision.Decision)
		at    time.Duration
	}{
		{name: "another policy", basis: func(b *Basis) { b.Policy = digest.FromString("x") }},
		{name: "another trusted root", basis: func(b *Basis) { b.Trust = digest.FromString("x") }},
		{name: "another verifier", basis: func(b *Basis) { b.Verifier = "v2" }},
		{name: "another name", ref: name + "2"},
		{name: "another digest", dgst: digest.FromString("x")},
		{name: "expired", at: DefaultAllow},
		{name: "the clock was put back", at: -time.Nanosecond},
		{name: "changed by the clock", spoil: func(d *decision.Decision) { d.ChangesAt = &soon }, at: time.Minute},
		{name: "undecided", spoil: func(d *decision.Decision) { d.Verdict = decision.Undecided }},
		{name: "no verdict", spoil: func(d *decision.Decision) { d.Verdict = "" }},
		{name: "decided by another policy", spoil: func(d *decision.Decision) { d.Basis.Policy = digest.FromString("canary") }},
		{name: "over at once", spoil: func(d *decision.Decision) { d.ChangesAt = &noon }},
		{name: "an old deny", spoil: func(d *decision.Decision) { d.Verdict = decision.Deny }, at: DefaultDeny},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := open(t, t.TempDir())
			d, b, ref, dgst := decided(decision.Allow), inUse, name, image
			if c.spoil != nil {
				c.spoil(d)
			}
			s.Put(inUse, d, false)
			if c.basis != nil {
				c.basis(&b)
			}
			if c.ref != "" {
				ref = c.ref
			}
			if c.dgst != "" {
				dgst = c.dgst
			}
			require.Nil(t, s.Get(b, ref, dgst, noon.Add(c.at)))
		})
	}
}

// A file that is damaged, or another's, is no verdict; it is reported and goes.
func TestCorruptFiles(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(data []byte) []byte
	}{
		{"empty", func([]byte) []byte { return nil }},
		{"torn", func(d []byte) []byte { return d[:len(d)/2] }},
		{"a flipped bit", func(d []byte) []byte { d[len(d)/2] ^= 1; return d }},
		{"a longer life", func(d []byte) []byte { return []byte(strings.Replace(string(d), "2026-05-01", "2027-05-01", 1)) }},
		{"another name", func([]byte) []byte {
			d := decided(decision.Allow)
			d.Image.Name = "registry.example/evil:v1"
			data, _ := encode(record{Schema, inUse, *d})
			return data
		}},
		{"a deny made allow by hand", func([]byte) []byte {
			data, _ := encode(record{Schema, inUse, *decided(decision.Deny)})
			return data
		}},
		{"another schema", func([]byte) []byte {
			data, _ := encode(record{Schema + "0", inUse, *decided(decision.Allow)})
			return data
		}},
		{"huge", func(d []byte) []byte { return append(d, make([]byte, maxRecord)...) }},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", restart ", restart), func(t *testing.T) {
				dir := t.TempDir()
				s, f := open(t, dir)
				s.Put(inUse, decided(decision.Allow), false)
				path := filepath.Join(dir, idOf(inUse.Policy, name, image))
				data, err := os.ReadFile(path)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path, c.spoil(data), 0o600))
				if restart {
					s, f = open(t, dir)
				}
				require.Nil(t, s.Get(inUse, name, image, noon))
				require.Empty(t, s.Find(inUse, noon, image))
				require.False(t, s.Before(inUse.Policy, name, image))
				require.Len(t, f.list, 1)
				require.ErrorIs(t, f.list[0], ErrCorrupt)
				require.NoFileExists(t, path)
			})
		}
	}
}

func TestStrayFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".new-1"), []byte("half"), 0o600))
	s, f := open(t, dir)
	require.Len(t, f.list, 1)
	require.Zero(t, s.Len())
	require.NoFileExists(t, filepath.Join(dir, ".new-1"))
}

func TestADenyIsShort(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	s.Put(inUse, decided(decision.Deny), false)
	require.Equal(t, decision.Deny, s.Get(inUse, name, image, noon.Add(DefaultDeny-1)).Verdict)
	s, _ = open(t, dir)
	require.Zero(t, s.Len())
}

// Having been allowed before outlives the verdict and the trusted root, but
// neither the policy nor a deny.
func TestBefore(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	require.False(t, s.Before(inUse.Policy, name, image))

	brief := decided(decision.Allow)
	s.Put(inUse, brief, true)
	require.NotNil(t, s.Get(inUse, name, image, noon))
	require.Nil(t, s.Get(inUse, name, image, noon.Add(DefaultDeny)))
	require.False(t, s.Before(inUse.Policy, name, image), "it was not checked")

	s.Put(inUse, decided(decision.Allow), false)
	s.Put(inUse, brief, true)
	s, _ = open(t, dir)
	require.True(t, s.Before(inUse.Policy, name, image))
	require.False(t, s.Before(digest.FromString("x"), name, image))
	require.False(t, s.Before(inUse.Policy, name+"2", image))

	s.Put(Basis{inUse.Policy, digest.FromString("new root"), "v1"}, decided(decision.Deny), false)
	require.False(t, s.Before(inUse.Policy, name, image))
	require.Nil(t, s.Get(inUse, name, image, noon), "nor does the old root bring it back")
	s, _ = open(t, dir)
	require.False(t, s.Before(inUse.Policy, name, image))
}

func TestAnAllowIsEnough(t *testing.T) {
	s, _ := open(t, t.TempDir())
	for i, v := range []decision.Verdict{decision.Deny, decision.Allow, decision.Deny} {
		d := decided(v)
		d.Image.Name = fmt.Sprint(name, i)
		s.Put(inUse, d, false)
	}
	found := s.Find(inUse, noon, image)
	require.Len(t, found, 1, "the others matter no longer")
	require.Equal(t, decision.Allow, found[0].Verdict)
}

func TestTheOldestGo(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{Max: 10})
	require.NoError(t, err)
	for i := range 25 {
		d := decided(decision.Allow)
		d.Image.Name, d.DecidedAt = fmt.Sprint(name, i), noon.Add(time.Duration(i)*time.Second)
		s.Put(inUse, d, false)
	}
	require.LessOrEqual(t, s.Len(), 10)
	require.NotNil(t, s.Get(inUse, fmt.Sprint(name, 24), image, noon.Add(time.Minute)))
	require.Nil(t, s.Get(inUse, fmt.Sprint(name, 0), image, noon.Add(time.Minute)))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, s.Len())
}

// A full disk costs the file, not the verdict.
func TestUnwritable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "verdicts")
	s, f := open(t, dir)
	require.NoError(t, os.RemoveAll(dir))
	s.Put(inUse, decided(decision.Allow), false)
	require.Len(t, f.list, 1)
	require.NotNil(t, s.Get(inUse, name, image, noon))
	require.False(t, s.Before(inUse.Policy, name, image))
}
