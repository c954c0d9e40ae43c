// SPDX-License-Identifier: Apache-2.0

package verdicts

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

	"github.com/plombproject/plomb/verify/decision"
)

// Whoever creates pods can ask for as many images as he likes that are denied.
// What was allowed must not be forgotten for that: a registry that is down then
// would keep the node's own images from starting.
func TestDeniesDoNotPushOutAllows(t *testing.T) {
	s, err := Open(t.TempDir(), Options{Max: 100})
	require.NoError(t, err)
	s.Put(inUse, decided(decision.Allow), false)
	for i := range 1000 {
		d := decided(decision.Deny)
		d.Image.Name, d.DecidedAt = fmt.Sprintf("registry.example/flood:v%d", i), noon.Add(time.Duration(i+1)*time.Millisecond)
		s.Put(inUse, d, false)
	}
	require.NotNil(t, s.Get(inUse, name, image, noon.Add(time.Minute)))
	require.True(t, s.Before(inUse.Policy, name, image))
	require.LessOrEqual(t, s.Len(), 100)
}

// Nor can he fill the memory with reasons whose length the maker of an image
// chose.
func TestDeniesAreBoundedInBytes(t *testing.T) {
	s, _ := open(t, t.TempDir())
	long := strings.Repeat("x", 256<<10)
	for i := range 100 {
		d := decided(decision.Deny)
		d.Image.Name, d.DecidedAt = fmt.Sprintf("registry.example/long:v%d", i), noon.Add(time.Duration(i)*time.Millisecond)
		d.Checks = []decision.Check{{Step: "evidence", Detail: long}}
		s.Put(inUse, d, false)
	}
	kept := 0
	for _, i := range s.items {
		kept += len(i.short.Checks[0].Detail)
	}
	require.NotZero(t, kept)
	require.LessOrEqual(t, kept, maxShortBytes)
	require.NotNil(t, s.Get(inUse, "registry.example/long:v99", image, noon.Add(time.Second)), "the latest is there")
}

// One that is larger than all may be is made again, and pushes nothing out.
func TestAHugeDenyIsNotKept(t *testing.T) {
	s, _ := open(t, t.TempDir())
	s.Put(inUse, decided(decision.Deny), false)
	huge := decided(decision.Deny)
	huge.Image.Name = name + "-huge"
	huge.Reason = strings.Repeat("x", maxShortBytes+1)
	s.Put(inUse, huge, false)
	require.NotNil(t, s.Get(inUse, name, image, noon))
	require.Nil(t, s.Get(inUse, huge.Image.Name, image, noon))
}

// A huge deny ends the allow of before all the same.
func TestAHugeDenyEndsAnAllow(t *testing.T) {
	s, _ := open(t, t.TempDir())
	s.Put(inUse, decided(decision.Allow), false)
	huge := decided(decision.Deny)
	huge.Reason = strings.Repeat("x", maxShortBytes+1)
	s.Put(inUse, huge, false)
	require.Nil(t, s.Get(inUse, name, image, noon))
	require.False(t, s.Before(inUse.Policy, name, image))
}

// A signed image has as many names as somebody writes tags beside its digest.
// They neither push other images out nor make the node read a file for each.
func TestNamesOfOneImage(t *testing.T) {
	dir := t.TempDir()
	s, f := open(t, dir)
	s.Put(inUse, decided(decision.Allow), false)
	other := digest.FromString("another image")
	for i := range maxNames + 8 {
		d := decided(decision.Allow)
		d.Image = decision.Image{Name: fmt.Sprintf("registry.example/shop/app:x%d", i), Digest: other}
		d.DecidedAt = noon.Add(time.Duration(i) * time.Millisecond)
		s.Put(inUse, d, false)
	}
	require.NotNil(t, s.Get(inUse, name, image, noon.Add(time.Second)))
	require.Equal(t, maxNames+1, s.Len())
	require.Len(t, s.Find(inUse, noon.Add(time.Second), other), 1, "one that admits is enough")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, s.Len())
	require.Empty(t, f.list)
}

// The checksum in a file is no signature: who can write to the folder could put
// verdicts there.
func TestAFolderOfOthersIsNotBelieved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "verdicts")
	s, _ := open(t, dir)
	s.Put(inUse, decided(decision.Allow), false)
	require.NoError(t, os.Chmod(dir, 0o777))
	_, err := Open(dir, Options{})
	require.ErrorContains(t, err, dir)

	require.NoError(t, os.Chmod(dir, 0o700))
	link := dir + ".link"
	require.NoError(t, os.Symlink(dir, link))
	_, err = Open(link, Options{})
	require.ErrorContains(t, err, link)
}

// A file that somebody else can have written is no verdict, whatever it says:
// its checksum is no signature.
func TestFilesOfOthers(t *testing.T) {
	for what, spoil := range map[string]func(t *testing.T, path string){
		"others can write": func(t *testing.T, path string) { require.NoError(t, os.Chmod(path, 0o602)) },
		"a group can":      func(t *testing.T, path string) { require.NoError(t, os.Chmod(path, 0o620)) },
		"a link": func(t *testing.T, path string) {
			other := filepath.Join(t.TempDir(), "verdict")
			require.NoError(t, os.Rename(path, other))
			require.NoError(t, os.Symlink(other, path))
		},
	} {
		for _, restart := range []bool{false, true} {
			dir := t.TempDir()
			s, f := open(t, dir)
			s.Put(inUse, decided(decision.Allow), false)
			spoil(t, filepath.Join(dir, idOf(inUse.Policy, name, image)))
			if restart {
				s, f = open(t, dir)
			}
			require.Nil(t, s.Get(inUse, name, image, noon), what)
			require.Len(t, f.list, 1, what)
			require.ErrorIs(t, f.list[0], ErrCorrupt, what)
		}
	}
}

// What cannot be read for want of file descriptors is there as soon as it can.
func TestShortOfDescriptors(t *testing.T) {
	require.True(t, short(&os.PathError{Op: "open", Err: syscall.EMFILE}))
	require.False(t, short(os.ErrNotExist))
	dir := t.TempDir()
	s, f := open(t, dir)
	s.Put(inUse, decided(decision.Allow), false)
	var old syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: old.Max}))
	got := s.Get(inUse, name, image, noon)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old))
	require.Nil(t, got)
	require.Len(t, f.list, 1)
	require.NotErrorIs(t, f.list[0], ErrCorrupt)
	require.NotNil(t, s.Get(inUse, name, image, noon))
}
