// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/internal/durable"
	"github.com/plombproject/plomb/internal/limit"
)

// DefaultStore is the folder of the instances where nobody says another.
const DefaultStore = "/var/lib/plomb/trust"

var (
	// ErrStale reports an instance whose repository was last asked so long ago
	// that nobody can tell whether its keys are still trusted. Nothing is
	// known either way: it is always wrapped in ErrRoot, and undecided.
	ErrStale = errors.New("too old")

	// ErrNoInstance reports a name that the store has no instance of.
	ErrNoInstance = errors.New("no such instance")

	// ErrName reports a name that no instance can have.
	ErrName = errors.New("not a name of a trust instance")
)

// A Store is a folder of trust instances, side by side and never merged:
//
//	NAME.json                a trusted root, as somebody put it there
//	NAME/trusted_root.json   a trusted root that plomb keeps
//	NAME/state.json          where it is from and how fresh it is, see State
//	NAME/tuf/*.json          metadata of its repository, as last verified
//
// Everything else in the folder is passed over.
type Store struct{ Dir string }

// Loaded is an instance that may be used.
type Loaded struct {
	// Name is that of the instance, or of the file.
	Name string
	Root *Root
	// Data is the trusted_root.json.
	Data []byte
	// State is nil for a plain file.
	State *State
	// Warnings are for whoever looks after the machine.
	Warnings []string
}

var instanceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)

// CheckName refuses what cannot be an instance, such as a path. Names are
// those of Kubernetes' objects (RFC 1123), with 63 characters at most.
func CheckName(name string) error {
	if !instanceName.MatchString(name) || strings.HasSuffix(name, ".json") {
		return fmt.Errorf("%w: %q: want lower-case letters, digits, '-' and '.'", ErrName, name)
	}
	return nil
}

// Names lists the instances. A store that is not there has none.
func (s Store) Names() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	var names []string
	for _, e := range entries {
		name, isJSON := strings.CutSuffix(e.Name(), ".json")
		if e.IsDir() == isJSON || CheckName(name) != nil {
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Load gives the last good trusted root of an instance. It asks nobody: Errors
// are ErrRoot, with ErrStale if the root is too old at this time.
func (s Store) Load(name string, now time.Time) (*Loaded, error) {
	l, err := s.read(name)
	if err != nil {
		return nil, fmt.Errorf("%w: instance %s: %w", ErrRoot, name, err)
	}
	if l.State != nil {
		if l.Warnings, err = l.State.stale(name, now); err != nil {
			return nil, fmt.Errorf("%w: instance %s: %w", ErrRoot, name, err)
		}
	}
	if l.Root, err = ParsePart(l.Data); err != nil {
		return nil, fmt.Errorf("instance %s: %w", name, err)
	}
	return l, nil
}

// LoadRemote is Load for what a document says: a repository that begins with
// this root.json. An instance of the same name that began with another is
// refused. The mirror does not count, since it need not be trusted.
func (s Store) LoadRemote(name string, initialRoot []byte, target string, now time.Time) (*Loaded, error) {
	l, err := s.Load(name, now)
	if errors.Is(err, ErrNoInstance) {
		return nil, fmt.Errorf("%w; run plomb trust update %s --mirror URL --root FILE", err, name)
	}
	if err != nil {
		return nil, err
	}
	want := digest.FromBytes(initialRoot)
	if l.State == nil || l.State.Source.InitialRoot != want || l.State.Source.Target != target {
		return nil, fmt.Errorf("%w: instance %s does not come from the target %s of a repository that begins with the document's root (%s); run plomb trust update %s --mirror URL --root FILE",
			ErrRoot, name, target, want, name)
	}
	return l, nil
}

// State is that of an instance, whatever its age. A plain file has none: nil.
func (s Store) State(name string) (*State, error) {
	l, err := s.read(name)
	if err != nil {
		return nil, fmt.Errorf("%w: instance %s: %w", ErrRoot, name, err)
	}
	return l.State, nil
}

// read finds the files of an instance, and that they belong together.
func (s Store) read(name string) (*Loaded, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	dir, plain := filepath.Join(s.Dir, name), filepath.Join(s.Dir, name+".json")
	_, folderErr := os.Stat(dir)
	data, err := limit.ReadFile(plain, MaxRoot)
	switch {
	case err == nil && folderErr == nil:
		return nil, fmt.Errorf("%s and %s are both there: remove one", plain, dir)
	case err == nil:
		return &Loaded{Name: name, Data: data}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	for try := 1; ; try++ {
		l, err := readFolder(dir, name)
		// An update may have come between the two files; not between all of them.
		if try == 3 || !errors.Is(err, errApart) {
			return l, err
		}
	}
}

// errApart is a root that is not the one its state is about.
var errApart = errors.New("somebody changed it")

func readFolder(dir, name string) (*Loaded, error) {
	state, err := readState(dir)
	if err != nil {
		return nil, err
	}
	data, err := limit.ReadFile(filepath.Join(dir, rootFile), MaxRoot)
	if err != nil {
		return nil, err
	}
	if got := digest.FromBytes(data); got != state.TrustedRoot && got != state.Pending {
		return nil, fmt.Errorf("%s has digest %s, and %s says %s: %w; put it back with plomb trust update %s",
			filepath.Join(dir, rootFile), got, stateFile, state.TrustedRoot, errApart, name)
	}
	return &Loaded{Name: name, Data: data, State: state}, nil
}

// Install makes a trusted_root.json an instance that nobody renews: for a
// machine without a network. from says where it came from.
func (s Store) Install(name, from string, data []byte, now time.Time) (*State, error) {
	unlock, err := s.Lock(name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	state := &State{Source: Source{File: from}, Updated: now.UTC().Truncate(time.Second)}
	return state, s.Commit(name, data, state)
}

// Commit makes data the trusted root of an instance, if it is one, and keeps
// the state with it. Schema and TrustedRoot are filled in. The caller has the
// lock. A reader, or a crash, at any moment finds the old root or the new one.
func (s Store) Commit(name string, data []byte, state *State) error {
	root, err := ParsePart(data)
	if err != nil {
		return fmt.Errorf("instance %s: %w", name, err)
	}
	state.Schema, state.TrustedRoot, state.Pending = StateSchema, root.Digest(), ""
	dir := filepath.Join(s.Dir, name)
	old, err := readState(dir)
	switch {
	case err == nil && old.TrustedRoot != state.TrustedRoot:
		old.Pending = state.TrustedRoot
		err = old.write(dir)
	case errors.Is(err, ErrNoInstance):
		err = nil
	case err != nil:
		err = nil // broken: it is replaced, and until then refused
	}
	if err == nil {
		err = durable.WriteFile(filepath.Join(dir, rootFile), data, 0o644)
	}
	if err == nil {
		err = state.write(dir)
	}
	if err != nil {
		return fmt.Errorf("%w: instance %s: %w", ErrRoot, name, err)
	}
	return nil
}

// Failed notes that an update failed. The last good root stays.
func (s Store) Failed(name string, at time.Time, reason error) error {
	dir := filepath.Join(s.Dir, name)
	state, err := readState(dir)
	if err != nil {
		return err
	}
	text := strings.ToValidUTF8(reason.Error(), "?")
	if len(text) > 1000 {
		text = strings.ToValidUTF8(text[:1000], "") + "…"
	}
	state.Failure = &Failure{At: at.UTC().Truncate(time.Second), Reason: text}
	return state.write(dir)
}

// Lock makes the folder of an instance and holds it against another process
// that would update the same.
func (s Store) Lock(name string) (unlock func(), err error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	dir := filepath.Join(s.Dir, name)
	if _, err := os.Lstat(dir + ".json"); err == nil {
		return nil, fmt.Errorf("%w: instance %s is the file %s.json, which plomb does not change: remove it first", ErrRoot, name, dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: instance %s is being updated by another process: %w", ErrRoot, name, err), f.Close())
	}
	return func() {
		if _, err := os.Lstat(filepath.Join(dir, stateFile)); errors.Is(err, fs.ErrNotExist) {
			// It did not become an instance: leave nothing to stumble over.
			_, _ = os.Remove(f.Name()), os.Remove(dir)
		}
		_ = f.Close()
	}, nil
}

// Default finds the trusted roots of a command. file is what was asked for by
// name; installed, where nothing was, is used if it is there; else all
// instances of the store, each to be tried by itself.
//
// The error joins what kept instances from being used. There may be usable ones
// with it: they may allow, but what they refuse is undecided.
func Default(file, installed string, s Store, now time.Time) ([]*Loaded, error) {
	if _, err := os.Stat(installed); file == "" && !errors.Is(err, fs.ErrNotExist) {
		file = installed
	}
	if file != "" {
		data, err := limit.ReadFile(file, MaxRoot)
		if err != nil {
			return nil, fmt.Errorf("%w: %w; name a trusted_root.json with --trusted-root or PLOMB_TRUSTED_ROOT", ErrRoot, err)
		}
		root, err := ParsePart(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return []*Loaded{{Name: file, Root: root, Data: data}}, nil
	}
	names, err := s.Names()
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: neither %s nor an instance in %s; run plomb trust update public-good, or name a file with --trusted-root or PLOMB_TRUSTED_ROOT", ErrRoot, installed, s.Dir)
	}
	var usable []*Loaded
	var faults []error
	for _, name := range names {
		l, err := s.Load(name, now)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		usable = append(usable, l)
	}
	return usable, errors.Join(faults...)
}
