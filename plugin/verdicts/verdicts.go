// SPDX-License-Identifier: Apache-2.0

// Package verdicts remembers what was decided about images, so that the same
// question costs no registry and has an answer after a restart.
//
// A verdict is kept for a name and a digest, and counts only as long as what it
// rests on is what is in force: the policy, the trusted roots and the verifier.
// An allow lies in a file of its own; a deny is short-lived and stays in memory;
// what could not be decided is never kept. Whatever cannot be read, is not what
// was written, or comes from the future is as good as forgotten.
//
// It decides nothing, and does not know modes or snapshots: a remembered verdict
// is admitted or not like a fresh one.
package verdicts

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/decision"
)

const (
	// DefaultAllow is how long an allow is remembered at most. Nothing but the
	// clock could change it before (Decision.ChangesAt), except what is not
	// asked again in between: a signature that was taken back by other means
	// than policy and trusted roots.
	DefaultAllow = 24 * time.Hour
	// DefaultDeny is how long a deny is: long enough to spare a registry the
	// retries of kubelet, short enough for somebody who signs an image and tries again.
	DefaultDeny = 45 * time.Second
	// DefaultMax is how many verdicts are kept. An index entry takes about 1 kB
	// of memory; the verdicts themselves are in their files.
	DefaultMax = 4096

	// maxShortBytes bounds the verdicts that are in memory, as JSON: what a deny
	// says has a length that the maker of the image chose.
	maxShortBytes = 4 << 20
	// maxNames is how many names of one digest are remembered. Whoever may ask
	// for a signed image can write any tag beside its digest.
	maxNames = 64
)

// ErrCorrupt reports a file that is not what was written.
var ErrCorrupt = errors.New("corrupt verdict")

// A Basis is what a verdict rests on besides its image.
type Basis struct {
	// Policy is the digest of the set in force, Trust one over all trusted
	// roots and trust stores.
	Policy digest.Digest `json:"policy"`
	Trust  digest.Digest `json:"trust"`
	// Verifier is the program and its version.
	Verifier string `json:"verifier"`
}

// Options say how long and how many verdicts are kept. The zero value means the
// defaults.
type Options struct {
	Allow, Deny time.Duration
	Max         int
	// Fault is told of files that cannot be used or written; nil: nobody is.
	Fault func(error)
}

// A Store is a folder of verdicts.
type Store struct {
	dir  string
	opts Options

	mu       sync.Mutex
	items    map[string]*item
	byDigest map[digest.Digest]map[string]*item
}

// item is what memory has of one name, digest and policy.
type item struct {
	id   string
	name string
	dgst digest.Digest
	// basis is that of the verdict.
	basis Basis
	// all are the digests of the image that the verdict is about.
	all                []digest.Digest
	verdict            decision.Verdict
	decidedAt, expires time.Time
	// short is a verdict that is in no file, and weight its size as JSON.
	short  *decision.Decision
	weight int
	// filed tells that there is a file: the image was allowed.
	filed bool
}

// Open reads the folder, which is made with mode 0700 if it is not there. Files
// that cannot be used are removed, and reported as faults.
func Open(dir string, opts Options) (*Store, error) {
	if opts.Allow <= 0 {
		opts.Allow = DefaultAllow
	}
	if opts.Deny <= 0 {
		opts.Deny = DefaultDeny
	}
	if opts.Max <= 0 {
		opts.Max = DefaultMax
	}
	if opts.Fault == nil {
		opts.Fault = func(error) {}
	}
	if err := ensureFolder(dir); err != nil {
		return nil, fmt.Errorf("verdicts: %w", err)
	}
	s := &Store{dir: dir, opts: opts, items: map[string]*item{}, byDigest: map[digest.Digest]map[string]*item{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("verdicts: %w", err)
	}
	for _, e := range entries {
		s.load(e.Name())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evict()
	return s, nil
}

// load takes one file of the folder in. What a crash left half-written has a
// name of its own, and is no verdict.
func (s *Store) load(name string) {
	path := filepath.Join(s.dir, name)
	r, err := readRecord(path)
	if err == nil && r.id() != name {
		err = fmt.Errorf("%w: %s: it is about %s@%s", ErrCorrupt, path, r.Decision.Image.Name, r.Decision.Image.Digest)
	}
	if err != nil {
		s.opts.Fault(err)
		if !errors.Is(err, ErrCorrupt) {
			return
		}
		if err := os.Remove(path); err != nil {
			s.opts.Fault(fmt.Errorf("verdicts: %w", err))
		}
		return
	}
	i := s.itemOf(r.Basis, &r.Decision)
	i.filed = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.insert(i)
}

// itemOf is the entry of a verdict, with its end.
func (s *Store) itemOf(b Basis, d *decision.Decision) *item {
	i := &item{
		id: idOf(b.Policy, d.Image.Name, d.Image.Digest), name: d.Image.Name, dgst: d.Image.Digest,
		basis: b, all: Digests(d), verdict: d.Verdict, decidedAt: d.DecidedAt,
	}
	keep := s.opts.Deny
	if d.Verdict == decision.Allow {
		keep = s.opts.Allow
	}
	i.expires = d.DecidedAt.Add(keep)
	if d.ChangesAt != nil && d.ChangesAt.Before(i.expires) {
		i.expires = *d.ChangesAt
	}
	return i
}

// Digests are all that name the image a decision is about: what was asked for,
// its indexes, and the manifests and configs that this node could run.
func Digests(d *decision.Decision) []digest.Digest {
	all := slices.Concat([]digest.Digest{d.Image.Digest}, d.Basis.Indexes, d.Basis.Manifests, d.Basis.Configs)
	slices.Sort(all)
	return slices.Compact(all)
}

// Get returns the verdict in force about the image under this very name.
func (s *Store) Get(b Basis, name string, dgst digest.Digest, now time.Time) *decision.Decision {
	s.mu.Lock()
	i := s.items[idOf(b.Policy, name, dgst)]
	s.mu.Unlock()
	if i == nil {
		return nil
	}
	return s.read(i, b, now)
}

// Find returns the verdicts in force about images that have one of the digests,
// whatever they are called: one that allows alone, if there is one.
func (s *Store) Find(b Basis, now time.Time, dgsts ...digest.Digest) []*decision.Decision {
	s.mu.Lock()
	found := map[string]*item{}
	for _, dgst := range dgsts {
		maps.Copy(found, s.byDigest[dgst])
	}
	s.mu.Unlock()
	var out []*decision.Decision
	for _, id := range slices.Sorted(maps.Keys(found)) {
		d := s.read(found[id], b, now)
		switch {
		case d == nil:
		case d.Verdict == decision.Allow:
			return []*decision.Decision{d} // the rest would be as many files as it has names
		default:
			out = append(out, d)
		}
	}
	return out
}

// inForce tells whether the verdict counts. One from the future does not: the
// clock was put back, and nobody knows what has expired.
func (i *item) inForce(b Basis, now time.Time) bool {
	return i.basis == b && !now.Before(i.decidedAt) && now.Before(i.expires)
}

// read gets the verdict itself. The file is checked each time: what was changed
// on disk since does not count.
func (s *Store) read(i *item, b Basis, now time.Time) *decision.Decision {
	if !i.inForce(b, now) {
		return nil
	}
	if i.short != nil {
		return i.short
	}
	path := filepath.Join(s.dir, i.id)
	r, err := readRecord(path)
	if err == nil && (r.id() != i.id || r.Basis != b || !r.Decision.DecidedAt.Equal(i.decidedAt)) {
		err = fmt.Errorf("%w: %s: it is another than was written", ErrCorrupt, path)
	}
	if err != nil {
		s.mu.Lock()
		current := s.items[i.id] == i
		s.mu.Unlock()
		if current { // and not replaced since
			s.opts.Fault(err)
			if errors.Is(err, ErrCorrupt) {
				s.forget(i)
			}
		}
		return nil
	}
	return &r.Decision
}

// Before tells whether the image was allowed under this name and policy, however
// long ago, and not denied since.
func (s *Store) Before(policy digest.Digest, name string, dgst digest.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.items[idOf(policy, name, dgst)]
	return i != nil && i.filed
}

// Put remembers a decision; one that is undecided, or already over, is not.
// Brief says of an allow that it is to be kept as short as a deny, and is no
// proof of having been allowed before.
//
// A verdict that cannot be written counts until the agent ends; the fault is
// reported.
func (s *Store) Put(b Basis, d *decision.Decision, brief bool) {
	if d.Verdict != decision.Allow && d.Verdict != decision.Deny || d.Basis.Policy != b.Policy {
		return
	}
	i := s.itemOf(b, d)
	if !i.expires.After(i.decidedAt) {
		return
	}
	switch {
	case d.Verdict == decision.Deny:
		// It was allowed once; it would be again if the registry were cut off.
		s.remove(i.id)
		i.short = d
	case brief:
		s.mu.Lock()
		old := s.items[i.id]
		i.filed = old != nil && old.filed
		s.mu.Unlock()
		i.short = d
		if end := d.DecidedAt.Add(s.opts.Deny); end.Before(i.expires) {
			i.expires = end
		}
	default:
		if err := writeRecord(filepath.Join(s.dir, i.id), record{Schema: Schema, Basis: b, Decision: *d}); err != nil {
			s.opts.Fault(err)
			i.short = d
		} else {
			i.filed = true
		}
	}
	if i.short != nil && !i.weigh() {
		return // it is made again when somebody asks again
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.insert(i)
	s.evictNames(i)
	s.evictShort()
	s.evict()
}

// Len is how many verdicts are remembered.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.items)
}
