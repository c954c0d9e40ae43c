// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
)

// insert puts an entry in the place of the one before it. The caller has the lock.
func (s *Store) insert(i *item) {
	s.detach(s.items[i.id])
	s.items[i.id] = i
	for _, d := range i.all {
		if s.byDigest[d] == nil {
			s.byDigest[d] = map[string]*item{}
		}
		s.byDigest[d][i.id] = i
	}
}

// detach takes an entry out of memory. The caller has the lock.
func (s *Store) detach(i *item) {
	if i == nil {
		return
	}
	delete(s.items, i.id)
	for _, d := range i.all {
		if delete(s.byDigest[d], i.id); len(s.byDigest[d]) == 0 {
			delete(s.byDigest, d)
		}
	}
}

// evict forgets the oldest entries, a tenth at a time, when there are too many.
// The caller has the lock.
func (s *Store) evict() {
	if len(s.items) <= s.opts.Max {
		return
	}
	all := make([]*item, 0, len(s.items))
	for _, i := range s.items {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b *item) int { return a.decidedAt.Compare(b.decidedAt) })
	for _, i := range all[:len(all)-s.opts.Max*9/10] {
		s.detach(i)
		if i.filed {
			s.unlink(i.id)
		}
	}
}

// forget drops an entry and its file.
func (s *Store) forget(i *item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items[i.id] == i {
		s.detach(i)
		s.unlink(i.id)
	}
}

// remove drops what there is under an id, and its file.
func (s *Store) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.items[id]; i != nil {
		s.detach(i)
		if i.filed {
			s.unlink(id)
		}
	}
}

func (s *Store) unlink(id string) {
	if err := os.Remove(filepath.Join(s.dir, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.opts.Fault(fmt.Errorf("verdicts: %w", err))
	}
}

// idOf is the name of the file for a name, a digest and a policy. None of them
// can have a line feed in it; if a name had, it would be another id and no more.
func idOf(policy digest.Digest, name string, dgst digest.Digest) string {
	return digest.FromString(fmt.Sprintf("%s\n%s\n%q\n", policy, dgst, name)).Encoded() + suffix
}
