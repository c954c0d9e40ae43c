// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.yaml.in/yaml/v3"

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
	set := &Set{where: where}
	var faults []error
	sum := sha256.New()
	for _, file := range files {
		fmt.Fprintf(sum, "%s\n%d\n", filepath.Base(file.Name), len(file.Data))
		sum.Write(file.Data)
		policies, err := Parse(file.Name, file.Data)
		faults = append(faults, err)
		set.policies = append(set.policies, policies...)
	}
	faults = append(faults, unique(set.policies))
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	set.digest = digest.NewDigest(digest.SHA256, sum)
	return set, nil
}

// Merge puts sets together: all their policies are in force.
func Merge(sets ...*Set) (*Set, error) {
	if len(sets) == 1 {
		return sets[0], nil
	}
	all := &Set{}
	sum := sha256.New()
	var where []string
	for _, s := range sets {
		all.policies = append(all.policies, s.policies...)
		where = append(where, s.where)
		fmt.Fprintln(sum, s.digest)
	}
	all.where = strings.Join(where, ", ")
	all.digest = digest.NewDigest(digest.SHA256, sum)
	return all, unique(all.policies)
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

// Parse reads the documents of one policy file. It reports every fault it
// finds, each with file and line.
func Parse(file string, data []byte) ([]Policy, error) {
	var policies []Policy
	r := &reader{file: file}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.Join(append(r.faults, fmt.Errorf("%w: %s: %w", ErrInvalid, file, err))...)
		}
		if p := r.document(&doc); p != nil {
			policies = append(policies, *p)
		}
	}
	if len(r.faults) > 0 {
		return nil, errors.Join(r.faults...)
	}
	return policies, nil
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
