// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

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

// evict forgets the oldest entries, a tenth at a time, when there are too many:
// first those without a file, since anybody can have images denied.
// The caller has the lock.
func (s *Store) evict() {
	if len(s.items) <= s.opts.Max {
		return
	}
	all := make([]*item, 0, len(s.items))
	for _, i := range s.items {
		all = append(all, i)
	}
	slices.SortFunc(all, oldest)
	for _, i := range all[:len(all)-s.opts.Max*9/10] {
		s.drop(i)
	}
}

// oldest orders items by how soon they may be forgotten.
func oldest(a, b *item) int {
	switch {
	case a.filed && !b.filed:
		return 1
	case !a.filed && b.filed:
		return -1
	}
	return a.decidedAt.Compare(b.decidedAt)
}

// weigh sets the weight, and tells whether that is not more than there may be.
func (i *item) weigh() bool {
	data, err := json.Marshal(i.short)
	i.weight = len(data)
	return err == nil && i.weight <= maxShortBytes
}

// evictNames keeps one image from taking the place of all others by its names.
func (s *Store) evictNames(latest *item) {
	var same []*item
	for _, i := range s.byDigest[latest.dgst] {
		if i.dgst == latest.dgst {
			same = append(same, i)
		}
	}
	if len(same) > maxNames {
		s.drop(slices.MinFunc(same, oldest))
	}
}

// evictShort drops the oldest of the verdicts that are in memory until there is
// room for the latest.
func (s *Store) evictShort() {
	var short []*item
	total := 0
	for _, i := range s.items {
		if i.short != nil {
			short = append(short, i)
			total += i.weight
		}
	}
	if total <= maxShortBytes {
		return
	}
	slices.SortFunc(short, oldest)
	for _, i := range short {
		if total <= maxShortBytes {
			return
		}
		total -= i.weight
		s.drop(i)
	}
}

// drop forgets an item and removes its file.
func (s *Store) drop(i *item) {
	s.detach(i)
	if i.filed {
		s.unlink(i.id)
	}
}

// ensureFolder makes the folder, or demands that it is one that nobody else can
// write to: the checksum in a file is no signature.
func ensureFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no folder but a link: remove it", dir)
	case !ok || int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to another user: remove it", dir)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s can be written by others (mode %#o): remove it, what it holds proves nothing", dir, info.Mode().Perm())
	}
	return nil
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
