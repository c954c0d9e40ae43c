// SPDX-License-Identifier: Apache-2.0

package standtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/plombproject/plomb/integration/stand"
)

// Shared is what all tests of a package have in common.
type Shared struct {
	// Dir is a folder that is gone after the tests. Its name is short because
	// of the sockets below it.
	Dir  string
	ends []func()
}

// Main runs a package's tests after start has started the stands that they
// share, ends those in reverse order, and returns the exit status for TestMain.
func Main(m *testing.M, start func(*Shared) error) int {
	dir, err := os.MkdirTemp("/tmp", "plomb-it-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	s := &Shared{Dir: dir}
	defer s.end()
	if err := start(s); err != nil {
		return fail(err)
	}
	return m.Run()
}

// Start starts a stand for the length of the package's tests, in a folder
// below Dir.
func (s *Shared) Start(opts stand.Options) (*stand.Stand, error) {
	opts.Dir, opts.Log = filepath.Join(s.Dir, strconv.Itoa(len(s.ends))), os.Stderr
	started, err := stand.Start(context.Background(), opts)
	if err != nil {
		return nil, err
	}
	s.Cleanup(func() {
		if err := started.Remove(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the stand:", err)
		}
	})
	return started, nil
}

// Cleanup has a function called after the tests, before those that were given
// earlier.
func (s *Shared) Cleanup(end func()) { s.ends = append(s.ends, end) }

func (s *Shared) end() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "starting the stand:", err)
	return 1
}
