// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
)

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

func example(i int) *Receipt {
	name := fmt.Sprintf("registry.example/app-%d:v1", i)
	return &Receipt{
		Time: noon.Add(time.Duration(i) * time.Second), Node: "node-1", Point: Pull,
		Name: name, Digest: digest.FromString(name), Verdict: decision.Deny, Code: "unsigned",
		Reason: "no signature <for> this & that", By: "decision", Mode: "enforce",
		Verifier: "plomb test", DecidedAt: noon,
	}
}

func open(t *testing.T, dir string, opts Options) *Log {
	t.Helper()
	if opts.Warn == nil {
		opts.Warn = func(err error) { t.Errorf("warned: %v", err) }
	}
	l, err := Open(dir, opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// fill appends receipts, one at a time.
func fill(t *testing.T, l *Log, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		_, err := l.Append(t.Context(), example(i))
		require.NoError(t, err)
	}
}

// written makes a log of n receipts in small files and returns its folder.
func written(t *testing.T, n int, opts Options) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "receipts")
	if opts.MaxBytes == 0 {
		opts.MaxBytes = 2000
	}
	l := open(t, dir, opts)
	fill(t, l, 0, n)
	require.NoError(t, l.Close())
	return dir
}

func sound(t *testing.T, dir string) Report {
	t.Helper()
	r, err := CheckLog(dir)
	require.NoError(t, err)
	require.Empty(t, r.Faults)
	return r
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	var got []string
	for e, err := range Entries(dir) {
		require.NoError(t, err)
		got = append(got, e.Receipt.Name)
	}
	return got
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

func TestAppendChains(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "receipts")
	l := open(t, dir, Options{})
	a, b := example(0), example(1)
	last, err := l.Append(t.Context(), a, b)
	require.NoError(t, err)
	require.Empty(t, a.Previous)
	require.Equal(t, Schema, a.Schema)

	path := filepath.Join(dir, "receipts-000001.jsonl")
	lines := strings.Split(strings.TrimSuffix(string(read(t, path)), "\n"), "\n")
	require.Len(t, lines, 2)
	require.Equal(t, digest.FromString(lines[0]), b.Previous)
	require.Equal(t, digest.FromString(lines[1]), last)
	require.Contains(t, lines[0], "<for> this & that")

	for path, mode := range map[string]os.FileMode{dir: 0o700, path: 0o600, filepath.Join(dir, "lock"): 0o600} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
	r := sound(t, dir)
	require.Equal(t, 2, r.Receipts)
	require.Equal(t, last, r.Head)
	require.Equal(t, noon, *r.First)
	require.Equal(t, 2, r.After)
}

func TestRotationCarriesTheChainOver(t *testing.T) {
	dir := written(t, 20, Options{})
	list, err := numbers(dir)
	require.NoError(t, err)
	require.Greater(t, len(list), 3)
	r := sound(t, dir)
	require.Equal(t, 20, r.Receipts)
	require.Equal(t, len(list), r.Files)

	l := open(t, dir, Options{MaxBytes: 2000}) // another process, later
	fill(t, l, 20, 25)
	require.Equal(t, 25, sound(t, dir).Receipts)
	require.Len(t, names(t, dir), 25)
}

func TestManyWriteAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	logs := []*Log{open(t, dir, Options{MaxBytes: 5000}), open(t, dir, Options{MaxBytes: 5000})}
	syncs := 0
	logs[0].sync = func(f *os.File) error { syncs++; return syncData(f) } // one writer at a time
	var wg sync.WaitGroup
	acknowledged := make([]digest.Digest, 100)
	for i := range acknowledged {
		wg.Go(func() {
			var err error
			acknowledged[i], err = logs[i%2].Append(context.Background(), example(i))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 100, sound(t, dir).Receipts)
	var hashes []digest.Digest
	for e, err := range Entries(dir) {
		require.NoError(t, err)
		hashes = append(hashes, e.Digest)
	}
	for i, d := range acknowledged {
		require.Contains(t, hashes, d, i)
	}
	require.LessOrEqual(t, syncs, 50)
}

func TestAppendSideBySideSharesTheDisk(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "receipts"), Options{})
	gate, entered := make(chan struct{}), make(chan struct{}, 100)
	syncs := 0
	l.sync = func(f *os.File) error { syncs++; entered <- struct{}{}; <-gate; return nil }
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = l.Append(context.Background(), example(0)) })
	<-entered // the first one waits for the disk
	for i := range 20 {
		wg.Go(func() { _, _ = l.Append(context.Background(), example(i+1)) })
	}
	for waiting := 0; waiting < 20; {
		l.mu.Lock()
		waiting = len(l.waiting)
		l.mu.Unlock()
	}
	close(gate)
	wg.Wait()
	require.Equal(t, 2, syncs)
	require.Equal(t, 21, sound(t, l.dir).Receipts)
}

func TestWhoWaitsTooLongIsNotAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	l := open(t, dir, Options{})
	fill(t, l, 0, 1)
	var other lock // a writer that was stopped
	require.NoError(t, other.acquire(t.Context(), dir, syscall.LOCK_EX))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { _, err := l.Append(ctx, example(1)); done <- err }()
	cancel()
	err := <-done
	require.ErrorIs(t, err, ErrLog)
	require.ErrorIs(t, err, context.Canceled)
	other.close()
	fill(t, l, 2, 3)
	sound(t, dir)
}

func TestLockThatWasRemovedIsTakenAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	l := open(t, dir, Options{})
	fill(t, l, 0, 1)
	require.NoError(t, os.Remove(filepath.Join(dir, "lock")))
	other := open(t, dir, Options{})
	fill(t, other, 1, 3)
	fill(t, l, 3, 4)
	require.True(t, l.lock.current(filepath.Join(dir, "lock")))
	require.Equal(t, 4, sound(t, dir).Receipts)
}

func TestClosedLogTakesNothing(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "receipts"), Options{})
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	_, err := l.Append(t.Context(), example(0))
	require.ErrorIs(t, err, os.ErrClosed)
	require.ErrorIs(t, err, ErrLog)
}

func TestHugeReceiptIsAbridged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	l := open(t, dir, Options{})
	r := example(0)
	r.Reason = strings.Repeat("é", MaxLine)
	r.Signers = slices.Repeat([]decision.Signer{{Subject: strings.Repeat("s", 1000)}}, 1000)
	r.Bundles = slices.Repeat([]digest.Digest{digest.FromString("x")}, 10000)
	_, err := l.Append(t.Context(), r)
	require.NoError(t, err)
	for e, err := range Entries(dir) {
		require.NoError(t, err)
		require.True(t, e.Receipt.Abridged)
		require.Equal(t, decision.Deny, e.Receipt.Verdict)
		require.Equal(t, r.Digest, e.Receipt.Digest)
		require.Len(t, e.Receipt.Bundles, abridgedList)
		require.True(t, strings.HasSuffix(e.Receipt.Reason, "é…"))
	}
	sound(t, dir)
}

// A disk that is full takes a part of a line.
func TestFullDiskLeavesTheLogWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	l := open(t, dir, Options{})
	fill(t, l, 0, 3)
	before := read(t, filepath.Join(dir, fileName(1)))
	write := l.write
	l.write = func(f *os.File, data []byte, at int64) (int, error) {
		n, _ := write(f, data[:len(data)/2], at)
		return n, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	}
	_, err := l.Append(t.Context(), example(3))
	require.ErrorIs(t, err, ErrLog)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, filepath.Join(dir, fileName(1)))
	require.ErrorContains(t, err, "make room on the disk")
	require.Equal(t, before, read(t, filepath.Join(dir, fileName(1))))

	l.write = write
	fill(t, l, 4, 6)
	require.Equal(t, 5, sound(t, dir).Receipts)
}

func TestFailedSyncAcknowledgesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	l := open(t, dir, Options{})
	fill(t, l, 0, 1)
	calls := 0
	l.sync = func(f *os.File) error {
		if calls++; calls == 1 {
			return syscall.EIO
		}
		return syncData(f)
	}
	_, err := l.Append(t.Context(), example(1))
	require.ErrorIs(t, err, syscall.EIO)
	fill(t, l, 2, 3)
	require.Equal(t, []string{example(0).Name, example(2).Name}, names(t, dir))
	sound(t, dir)
}

// Neither can what was written be taken back: the next call sets it aside.
func TestWhatCannotBeTakenBackIsRepaired(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	l := open(t, dir, Options{})
	fill(t, l, 0, 2)
	write := l.write
	l.write = func(f *os.File, data []byte, at int64) (int, error) {
		n, _ := write(f, data[:10], at)
		require.NoError(t, l.out.Close()) // so that Truncate fails
		return n, errors.New("the disk is gone")
	}
	_, err := l.Append(t.Context(), example(2))
	require.ErrorContains(t, err, "the disk is gone")
	l.write = write
	fill(t, l, 3, 5)
	r := sound(t, dir)
	require.Equal(t, 4, r.Receipts)
	require.Len(t, r.Notes, 1)
	require.Equal(t, CodeTorn, r.Notes[0].Code)
}
