// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/trust"
)

const (
	// maxNotation bounds what is read of the Notary Project's folder: files, and
	// bytes of each.
	maxNotationFiles = 1000
	maxNotationFile  = 16 << 20
)

// roots are the trusted roots of the machine as they were read last. Whether one
// is too old is judged when it is asked for.
type roots struct {
	// own are the names of those that count where a policy names none.
	own []string
	// file is the one that was asked for or lies in the default place.
	file *trust.Loaded
	// instances are those of the store.
	instances map[string]*trust.Loaded
	// faults are what kept some from being read, by name; where there is a last
	// good one, it is among instances all the same.
	faults map[string]error
	// where says where they are from.
	where  string
	digest digest.Digest
}

var _ verify.TrustSource = (*roots)(nil)

// readRoots reads what judge.Installed would. What is broken is taken over from
// last; an instance that is gone is gone, since to remove it is how an
// administrator takes trust back.
func readRoots(s settings.Settings, last *roots) *roots {
	r := &roots{instances: map[string]*trust.Loaded{}, faults: map[string]error{}}
	r.readFile(s, last)
	r.readStore(trust.Store{Dir: s.Trust}, last)
	if r.file == nil && r.faults[""] == nil {
		r.own, r.where = slices.Sorted(maps.Keys(r.instances)), s.Trust
	}
	r.sum(s.Notation)
	return r
}

// readFile reads the trusted root that stands before the store.
func (r *roots) readFile(s settings.Settings, last *roots) {
	path := s.TrustedRoot
	if _, err := os.Stat(settings.DefaultTrustedRoot); path == "" && !errors.Is(err, fs.ErrNotExist) {
		path = settings.DefaultTrustedRoot
	}
	if path == "" {
		return
	}
	r.where = path
	loaded, err := trust.Default(path, "", trust.Store{}, time.Time{})
	switch {
	case err == nil:
		r.file = loaded[0]
	case last != nil && last.file != nil && last.where == path:
		r.faults[""], r.file = err, last.file
	default:
		r.faults[""] = err
	}
}

func (r *roots) readStore(store trust.Store, last *roots) {
	names, err := store.Names()
	if err != nil { // the folder cannot be read: nothing was taken back
		r.faults["store"] = err
		if last != nil {
			names = slices.Sorted(maps.Keys(last.instances))
		}
	}
	for _, name := range names {
		l, err := load(store, name)
		if err != nil {
			r.faults[name] = err
			if last != nil {
				l = last.instances[name]
			}
		}
		if l != nil {
			r.instances[name] = l
		}
	}
}

// load reads an instance whatever its age.
func load(store trust.Store, name string) (*trust.Loaded, error) {
	state, err := store.State(name)
	if err != nil {
		return nil, err
	}
	then := time.Now()
	if state != nil {
		then = state.Updated
	}
	return store.Load(name, then)
}

// Own implements verify.TrustSource.
func (r *roots) Own(now time.Time) ([]*trust.Loaded, error) {
	if r.file != nil {
		return []*trust.Loaded{r.file}, nil
	}
	if err := r.faults[""]; err != nil {
		return nil, err
	}
	if len(r.own)+len(r.faults) == 0 {
		return nil, fmt.Errorf("%w: neither %s nor an instance in %s; run plomb trust update public-good, or name a file with PLOMB_TRUSTED_ROOT",
			trust.ErrRoot, settings.DefaultTrustedRoot, r.where)
	}
	var usable []*trust.Loaded
	var faults []error
	for _, name := range r.own {
		l, err := aged(r.instances[name], now)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		usable = append(usable, l)
	}
	for _, name := range slices.Sorted(maps.Keys(r.faults)) {
		if r.instances[name] == nil { // what it would have vouched for is not known
			faults = append(faults, r.faults[name])
		}
	}
	return usable, errors.Join(faults...)
}

// Instance implements verify.TrustSource.
func (r *roots) Instance(name string, initialRoot []byte, target string, now time.Time) (*trust.Loaded, error) {
	l := r.instances[name]
	if l == nil {
		if err := r.faults[name]; err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w: %s; run plomb trust update %s --mirror URL --root FILE", trust.ErrRoot, trust.ErrNoInstance, name, name)
	}
	if initialRoot != nil {
		want := digest.FromBytes(initialRoot)
		if l.State == nil || l.State.Source.InitialRoot != want || l.State.Source.Target != target {
			return nil, fmt.Errorf("%w: instance %s does not come from the target %s of a repository that begins with the document's root (%s); run plomb trust update %s --mirror URL --root FILE",
				trust.ErrRoot, name, target, want, name)
		}
	}
	return aged(l, now)
}

// aged is a root at a time, or why it is too old then: what trust.Store.Load
// says of a root that it has just read.
func aged(l *trust.Loaded, now time.Time) (*trust.Loaded, error) {
	s := l.State
	if s == nil || s.Source.Mirror == "" {
		return l, nil
	}
	stale := fmt.Errorf("%w: instance %s: %w", trust.ErrRoot, l.Name, trust.ErrStale)
	if now.Before(s.Updated.Add(-trust.MaxSkew)) {
		return nil, fmt.Errorf("%w: this machine's clock says %s, and the root was updated at %s; set the clock", stale, stamp(now), stamp(s.Updated))
	}
	until := s.UsableUntil()
	if now.After(until) {
		return nil, fmt.Errorf("%w: last updated %s, and the grace period ended %s; run plomb trust update %s", stale, stamp(s.Updated), stamp(until), l.Name)
	}
	if now.After(s.Expires) {
		old := *l
		old.Warnings = append(slices.Clone(l.Warnings), fmt.Sprintf("trusted root %s: last updated %s, its repository's metadata expired %s; it is used until %s: run plomb trust update %s",
			l.Name, stamp(s.Updated), stamp(s.Expires), stamp(until), l.Name))
		return &old, nil
	}
	return l, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// fault is what is wrong with what is on disk now, on one line.
func (r *roots) fault() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.faults)) {
		all = append(all, r.faults[name].Error())
	}
	return strings.Join(all, "; ")
}

// good tells that there is something to trust.
func (r *roots) good() bool { return r.file != nil || len(r.instances) > 0 }

// sum makes the digest over everything that a verdict could rest on: the roots,
// where they come from, and the Notary Project's stores and revocation lists.
func (r *roots) sum(notation string) {
	h := sha256.New()
	if r.file != nil {
		fmt.Fprintf(h, "file %s\n", r.file.Root.Digest())
	}
	for _, name := range slices.Sorted(maps.Keys(r.instances)) {
		l := r.instances[name]
		fmt.Fprintf(h, "instance %s %s\n", name, l.Root.Digest())
		if l.State != nil {
			fmt.Fprintf(h, "from %s %s\n", l.State.Source.InitialRoot, l.State.Source.Target)
		}
	}
	if err := sumFolder(h, notation); err != nil {
		r.faults["notation"] = err
		fmt.Fprintf(h, "unreadable: %v\n", err) // a verdict that was made with it does not count
	}
	r.digest = digest.NewDigest(digest.SHA256, h)
}

// sumFolder hashes the files below a folder, by name. One that is not there has
// none.
func sumFolder(h hash.Hash, dir string) error {
	files := 0
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := os.Stat(path) // Kubernetes mounts every file as a link
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		if files++; files > maxNotationFiles {
			return fmt.Errorf("%w: more than %d files in %s", limit.ErrTooLarge, maxNotationFiles, dir)
		}
		data, err := limit.ReadFile(path, maxNotationFile)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %s\n", path, digest.FromBytes(data))
		return nil
	})
}
