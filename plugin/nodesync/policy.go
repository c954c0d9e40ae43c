// SPDX-License-Identifier: Apache-2.0

package nodesync

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/explain"
	"github.com/plombproject/plomb/verify/policy"
)

// policy makes one file of all delivered ones. Verifiers list the policy folder
// and then read file by file: of several files they could see the old list with
// new contents, which is a set that nobody wrote. One file is replaced at once.
func (s *Sync) policy() (*Change, error) {
	files, err := s.policyFiles()
	if files == nil || err != nil {
		return nil, err
	}
	delivered, err := s.check(files)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.Settings.Policy, PolicyName)
	data := Join(files)
	joined, err := policy.FromFiles(PolicyFolder, []policy.File{{Name: path, Data: data}})
	if err != nil {
		return nil, fmt.Errorf("the policies as one file: %w", err)
	}
	if want, got := names(delivered), names(joined); !slices.Equal(want, got) {
		return nil, fmt.Errorf("as one file the policies are %v, and they should be %v: deliver each document by itself, with --- between them", got, want)
	}
	if len(data) > policy.MaxFile {
		return nil, fmt.Errorf("the policies are %d bytes, at most %d are read: put some of them on the nodes by other means", len(data), policy.MaxFile)
	}
	if err := s.beside(path, data); err != nil {
		return nil, err
	}
	return &Change{Path: path, What: "policy", Data: data}, nil
}

// check is plomb policy check.
func (s *Sync) check(files []policy.File) (*policy.Set, error) {
	set, err := policy.FromFiles(PolicyFolder, files)
	if err != nil {
		return nil, err
	}
	if len(set.Policies()) == 0 {
		return nil, fmt.Errorf("%w: %s has none: that would refuse every image", policy.ErrEmpty, PolicyFolder)
	}
	if err := errors.Join(verify.CheckTrust(set, s.Now())...); err != nil {
		return nil, err
	}
	for _, name := range set.MissingPolicies() {
		return nil, fmt.Errorf("materials.baseImages.policy names %q, and there is no such policy", name)
	}
	for _, risk := range explain.Risks(set, s.Now()) {
		if s.Strict && risk.Level == explain.Warning {
			return nil, fmt.Errorf("%s: %s [%s]", risk.Origin, risk.Text, risk.Code)
		}
	}
	return set, nil
}

// beside refuses a policy that cannot be in force together with the node's own
// files: the whole folder would be unreadable.
func (s *Sync) beside(path string, data []byte) error {
	own, err := s.own(path)
	if err != nil {
		return err
	}
	_, err = policy.FromFiles(s.Settings.Policy, append(own, policy.File{Name: path, Data: data}))
	if err != nil {
		return fmt.Errorf("beside the node's own policies: %w", err)
	}
	return nil
}

func names(set *policy.Set) []string {
	out := slices.Clone(set.TrustRoots())
	for _, p := range set.Policies() {
		out = append(out, p.Name)
	}
	slices.Sort(out)
	return out
}

// Join makes one YAML file of several, JSON among them, each below a line with
// its name.
func Join(files []policy.File) []byte {
	var out bytes.Buffer
	out.WriteString("# Delivered by the cluster. Changes made here are undone: edit the ConfigMap.\n")
	for _, f := range files {
		fmt.Fprintf(&out, "---\n# %s\n", f.Name)
		data := bytes.TrimPrefix(f.Data, []byte("\xef\xbb\xbf"))
		out.Write(data)
		if !bytes.HasSuffix(data, []byte("\n")) {
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// policyFiles are the delivered policies by name; nil if none are delivered.
func (s *Sync) policyFiles() ([]policy.File, error) {
	entries, err := fs.ReadDir(s.From.FS(), PolicyFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	files := []policy.File{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if !isPolicy(e.Name()) {
			return nil, fmt.Errorf("%s/%s is no .yaml, .yml or .json, so it would not be in force: rename it", PolicyFolder, e.Name())
		}
		data, err := s.read(PolicyFolder + "/" + e.Name())
		if err != nil {
			return nil, err
		}
		files = append(files, policy.File{Name: PolicyFolder + "/" + e.Name(), Data: data})
	}
	return files, nil
}

func isPolicy(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(name)))
}

// own are the policies that are on the node beside the delivered file.
func (s *Sync) own(path string) ([]policy.File, error) {
	entries, err := os.ReadDir(s.Settings.Policy)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHost, err)
	}
	var files []policy.File
	for _, e := range entries {
		file := filepath.Join(s.Settings.Policy, e.Name())
		if strings.HasPrefix(e.Name(), ".") || !isPolicy(e.Name()) || file == path {
			continue
		}
		data, err := limit.ReadFile(file, policy.MaxFile)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrHost, err)
		}
		files = append(files, policy.File{Name: file, Data: data})
	}
	return files, nil
}

// read reads a file through one open folder. Kubernetes changes a mounted
// ConfigMap by turning the link ..data, so a file is old or new, never half.
func (s *Sync) read(name string) ([]byte, error) {
	f, err := s.From.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := limit.ReadAll(f, maxFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}
