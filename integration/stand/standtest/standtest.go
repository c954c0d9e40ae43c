// SPDX-License-Identifier: Apache-2.0

// Package standtest ties a stand to a test, or to all tests of a package: it
// ends with them. The daemons' logs are printed only when the test failed.
package standtest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/plombproject/plomb/integration/stand"
)

// stopLimit is how long the end of a stand may take.
const stopLimit = time.Minute

// logLines is how much of each daemon's log a failed test prints.
const logLines = 60

// Start starts a stand for the length of the test. Without Options.Dir it gets
// a folder of its own, with a short name because of its sockets. A program
// that is missing fails the test, and hack/tools makes it.
func Start(t testing.TB, opts stand.Options) *stand.Stand {
	t.Helper()
	if opts.Dir == "" {
		dir, err := os.MkdirTemp("/tmp", "plomb-stand-")
		if err != nil {
			t.Fatalf("folder for the stand: %v", err)
		}
		t.Cleanup(func() { _ = os.Remove(dir) }) // gone already after Remove
		opts.Dir = dir
	}
	if opts.Log == nil {
		opts.Log = writer{t}
	}
	s, err := stand.Start(t.Context(), opts)
	if err != nil {
		t.Fatalf("starting the stand: %v", err)
	}
	t.Cleanup(func() { end(t, s) })
	return s
}

func end(t testing.TB, s *stand.Stand) {
	if t.Failed() {
		for _, name := range s.Daemons() {
			t.Logf("the end of %s's log:\n%s", name, s.LogTail(name, logLines))
		}
	}
	// The test's own context has ended by now.
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if err := s.Remove(ctx); err != nil {
		t.Errorf("stopping the stand: %v", err)
	}
}

// writer sends progress to the test's log, which go test shows on failure.
type writer struct{ t testing.TB }

func (w writer) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}
