// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"time"

	"github.com/plombproject/plomb/verify/trust"
)

// A TrustSource gives the trusted roots of a machine. Nothing in it fetches.
type TrustSource interface {
	// Own are the roots that count where a policy names none, each by itself.
	// With an error there may be usable ones: they may allow, but what they
	// refuse is undecided.
	Own(now time.Time) ([]*trust.Loaded, error)
	// Instance is the one that is installed under the name. If initialRoot is
	// set, it must come from the target of a repository that began with it.
	Instance(name string, initialRoot []byte, target string, now time.Time) (*trust.Loaded, error)
}

// Installed is the TrustSource of a machine.
type Installed struct {
	// File is the trusted_root.json that was asked for, if one was.
	File string
	// Default is the one to use else, if it is there.
	Default string
	// Store has the instances.
	Store trust.Store
}

// Own implements TrustSource.
func (i Installed) Own(now time.Time) ([]*trust.Loaded, error) {
	return trust.Default(i.File, i.Default, i.Store, now)
}

// Instance implements TrustSource.
func (i Installed) Instance(name string, initialRoot []byte, target string, now time.Time) (*trust.Loaded, error) {
	if initialRoot == nil {
		return i.Store.Load(name, now)
	}
	return i.Store.LoadRemote(name, initialRoot, target, now)
}

// OneRoot is the TrustSource of somebody who has one trusted root and no
// instances.
type OneRoot func() (*trust.Root, error)

// Own implements TrustSource.
func (load OneRoot) Own(time.Time) ([]*trust.Loaded, error) {
	root, err := load()
	if err != nil {
		return nil, err
	}
	return []*trust.Loaded{{Root: root}}, nil
}

// Instance implements TrustSource: there is none.
func (load OneRoot) Instance(name string, _ []byte, _ string, _ time.Time) (*trust.Loaded, error) {
	return nil, fmt.Errorf("%w: %w: %s", ErrTrustRoot, trust.ErrNoInstance, name)
}
