// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/limit"
)

const (
	// MaxFile bounds one policy file, in bytes.
	MaxFile = 1 << 20
	// MaxFiles bounds the files of one folder.
	MaxFiles = 1000
)

// Load reads the policy file at path, or every .yaml, .yml and .json file of
// the folder at path. Other files are left alone, as are names that start with
// a dot; a sub-folder is refused, because policies in it would not be in force.
// A folder without a policy gives an empty set, which admits nothing.
func Load(path string) (*Set, error) {
	names, err := list(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	files := make([]File, len(names))
	for i, name := range names {
		data, err := limit.ReadFile(name, MaxFile)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		files[i] = File{Name: name, Data: data}
	}
	return FromFiles(path, files)
}

// A File is a policy file that somebody else has read.
type File struct {
	Name string
	Data []byte
}

// FromFiles is Load for files that are not on disk. where names the folder
// that they stand for.
func FromFiles(where string, files []File) (*Set, error) {
	set := &Set{where: where, roots: map[string]root{}}
	var faults []error
	sum := sha256.New()
	for _, file := range files {
		fmt.Fprintf(sum, "%s\n%d\n", filepath.Base(file.Name), len(file.Data))
		sum.Write(file.Data)
		p, err := parse(file.Name, file.Data)
		faults = append(faults, err)
		set.policies = append(set.policies, p.policies...)
		for _, doc := range p.roots {
			faults = append(faults, set.addRoot(doc.Name, root{doc.At, doc.TrustRoot}))
		}
	}
	faults = append(faults, unique(set.policies))
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	set.digest = digest.NewDigest(digest.SHA256, sum)
	return set, nil
}

// addRoot refuses two TrustRoots of one name: which is believed must not depend
// on the order of files.
func (s *Set) addRoot(name string, r root) error {
	if first, ok := s.roots[name]; ok {
		return fmt.Errorf("%w: %s: TrustRoot %q is already in %s: rename one", ErrInvalid, r.at, name, first.at)
	}
	s.roots[name] = r
	return nil
}

// Merge puts sets together: all their policies are in force. An image that no
// policy is about is refused, whatever the sets had said. A set with nothing in
// it is refused with ErrEmpty: a folder that was not mounted is not made up for by
// the others.
func Merge(sets ...*Set) (*Set, error) {
	if len(sets) == 1 {
		return sets[0], nil
	}
	all := &Set{roots: map[string]root{}}
	sum := sha256.New()
	var where []string
	var faults []error
	for _, s := range sets {
		if len(s.policies)+len(s.roots) == 0 {
			faults = append(faults, fmt.Errorf("%w and no trusted root in %s: write one there, or leave it out", ErrEmpty, s.where))
		}
		all.policies = append(all.policies, s.policies...)
		for _, name := range s.TrustRoots() {
			faults = append(faults, all.addRoot(name, s.roots[name]))
		}
		where = append(where, s.where)
		fmt.Fprintln(sum, s.digest)
	}
	all.where = strings.Join(where, ", ")
	all.digest = digest.NewDigest(digest.SHA256, sum)
	return all, errors.Join(append(faults, unique(all.policies))...)
}

func list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w; name a file or folder with --policy or PLOMB_POLICY", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		file := filepath.Join(path, e.Name())
		// Stat follows links: Kubernetes mounts every file as one.
		info, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			return nil, fmt.Errorf("%s is a folder, and only files are read: move its policies up or away", file)
		}
		if slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(file))) {
			files = append(files, file)
		}
	}
	if len(files) > MaxFiles {
		return nil, fmt.Errorf("%s has %d policy files, at most %d are read", path, len(files), MaxFiles)
	}
	return files, nil
}

// Parse reads the policies of one file. It reports every fault it finds, each
// with file and line.
func Parse(file string, data []byte) ([]Policy, error) {
	p, err := parse(file, data)
	return p.policies, err
}

// unique refuses two policies of one name: in a cluster the second would have
// replaced the first, here both would be in force.
func unique(policies []Policy) error {
	seen := map[string]string{}
	var faults []error
	for _, p := range policies {
		if first, ok := seen[p.Name]; ok {
			faults = append(faults, fmt.Errorf("%w: %s: policy %q is already in %s: rename one", ErrInvalid, p.Origin, p.Name, first))
		}
		seen[p.Name] = p.Origin
	}
	return errors.Join(faults...)
}
