// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"encoding/binary"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func (d tree) read(p string) string {
	data, err := os.ReadFile(d.path(p))
	require.NoError(d.t, err)
	return string(data)
}

// pyc is a compiled Python file: PEP 552's header, and some code.
func pyc(flags uint32, source time.Time) string {
	head := []byte("\xa7\x0d\r\n")
	head = binary.LittleEndian.AppendUint32(head, flags)
	head = binary.LittleEndian.AppendUint32(head, uint32(source.Unix()))
	head = binary.LittleEndian.AppendUint32(head, 42)
	return string(head) + "code"
}

func TestPyc(t *testing.T) {
	const source, cached = "lib/mod.py", "lib/__pycache__/mod.cpython-311.pyc"
	for name, row := range map[string]struct {
		path, have, want string
		sourceTime       time.Time
	}{
		"by time, source is clamped":          {cached, pyc(0, late), pyc(0, clamp), late},
		"optimised":                           {"lib/__pycache__/mod.cpython-311.opt-2.pyc", pyc(0, late), pyc(0, clamp), late},
		"beside the source, as Python 2 does": {"lib/mod.pyc", pyc(0, late), pyc(0, clamp), late},
		"by time, source is early":            {cached, pyc(0, early), pyc(0, early), early},
		"by hash":                             {cached, pyc(1, late), pyc(1, late), late},
		"by hash, checked":                    {cached, pyc(3, late), pyc(3, late), late},
		"stale already":                       {cached, pyc(0, late.Add(-time.Hour)), pyc(0, late.Add(-time.Hour)), late},
		"no magic":                            {cached, "0123456789abcdefgh", "0123456789abcdefgh", late},
		"too short":                           {cached, pyc(0, late)[:15], pyc(0, late)[:15], late},
		"only a header":                       {cached, pyc(0, late)[:16], pyc(0, clamp)[:16], late},
		"empty":                               {cached, "", "", late},
		"of another module":                   {"lib/__pycache__/other.cpython-311.pyc", pyc(0, late), pyc(0, late), late},
		"of another folder":                   {"app/__pycache__/mod.cpython-311.pyc", pyc(0, late), pyc(0, late), late},
		"not named so":                        {"lib/__pycache__/mod.bin", pyc(0, late), pyc(0, late), late},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStep(t, nil)
			s.upper.file(source, "pass").at(row.sourceTime, source).file(row.path, row.have)
			report, _ := s.sealed()
			require.Equal(t, row.want, s.out.read(row.path))
			require.Equal(t, "pass", s.out.read(source))
			require.Empty(t, report.Scrubbed, "it is kept, not scrubbed")
		})
	}
}

// The source came with an earlier layer and was clamped there.
func TestPycOfAnEarlierLayersSource(t *testing.T) {
	first := newStep(t, nil)
	first.upper.file("lib/mod.py", "pass")
	_, _ = first.sealed()

	second := first.next()
	second.upper.at(late, "lib/mod.py").file("lib/__pycache__/mod.cpython-311.pyc", pyc(0, late)).all(late)
	_, got := second.sealed()
	require.Equal(t, []string{"d lib/ 0755 T", "d lib/__pycache__/ 0755 T", "- lib/__pycache__/mod.cpython-311.pyc 0644 T"}, got)
	require.Equal(t, pyc(0, clamp), second.out.read("lib/__pycache__/mod.cpython-311.pyc"))

	// Compiled once more, it is what is there already.
	third := second.next()
	third.upper.at(late, "lib/mod.py").file("lib/__pycache__/mod.cpython-311.pyc", pyc(0, late)).at(late.Add(time.Hour), "lib/__pycache__/mod.cpython-311.pyc")
	_, got = third.sealed()
	require.Equal(t, []string{}, got)
}

func TestPycSource(t *testing.T) {
	for p, want := range map[string]string{
		"/a/__pycache__/m.cpython-311.pyc":       "/a/m.py",
		"/a/__pycache__/m.cpython-311.opt-1.pyc": "/a/m.py",
		"/a/m.pyc":                               "/a/m.py",
		"/m.pyc":                                 "/m.py",
		"/__pycache__/m.cpython-311.pyc":         "/m.py",
		"/a/__pycache__/.pyc":                    "/a/.py",
	} {
		require.Equal(t, want, pycSource(p), p)
	}
}

func TestClamp(t *testing.T) {
	a := &applier{rules: Rules{Time: clamp}}
	for _, row := range [][2]time.Time{
		{early, early}, {clamp, clamp}, {late, clamp},
		{clamp.Add(1), clamp}, {clamp.Add(-1), clamp.Add(-time.Second)},
		{time.Unix(-1, 5e8), time.Unix(-1, 0)}, {time.Unix(1<<34, 0), clamp},
	} {
		require.True(t, row[1].Equal(a.clamp(row[0])), row[0].String())
	}
	// T itself has no fraction, whatever was asked for.
	s := newStep(t, nil)
	s.rules.Time = clamp.Add(999 * time.Millisecond)
	s.upper.file("a", "1")
	_, got := s.sealed()
	require.Equal(t, []string{"- a 0644 T"}, got)
}
