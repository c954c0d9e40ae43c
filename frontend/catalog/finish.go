// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plombproject/plomb/provenance/sbom"
)

// finish waits for the readers and puts the report together. What a bound left
// out becomes unread, so that comes last.
func (s *scan) finish() (*Result, error) {
	close(s.work)
	s.workers.Wait()
	if err := s.ctx.Err(); err != nil {
		return nil, fmt.Errorf("look for packages: %w", err)
	}
	files := s.listed()
	findings, left := s.findings.sorted()
	if left > 0 {
		s.unread("/", fmt.Errorf("%d files with packages are left out: there is more than a report can hold", left))
	}
	owners := s.owners(findings, files)
	return &Result{
		Report: sbom.Report{
			Findings: asFindings(findings, owners),
			Gone:     s.asGone(),
			Unread:   s.asUnread(),
			Files:    s.entryCount,
		},
		Files: asFiles(files, owners),
	}, nil
}

func asFindings(findings []found, owners map[string]string) []sbom.Finding {
	var out []sbom.Finding
	for _, f := range findings {
		out = append(out, sbom.Finding{Path: sbom.Path(f.path), Packages: f.packages, Owner: owners[f.path]})
	}
	slices.SortFunc(out, func(a, b sbom.Finding) int { return strings.Compare(a.Path, b.Path) })
	return out
}

func asFiles(files []sbom.File, owners map[string]string) []sbom.File {
	for i := range files {
		files[i].Owner, files[i].Path = owners[files[i].Path], sbom.Path(files[i].Path)
	}
	slices.SortFunc(files, func(a, b sbom.File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

func (s *scan) asGone() []string {
	gone, left := s.gone.sorted()
	if left > 0 {
		s.unread("/", fmt.Errorf("%d more paths are gone than a report can hold", left))
	}
	var out []string
	for _, p := range gone {
		out = append(out, sbom.Path(p))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (s *scan) asUnread() []sbom.Unread {
	out, left := s.unreadable.sorted()
	if left == 0 {
		return out
	}
	return slices.Insert(out, 0, sbom.Unread{
		Path: "/", Reason: fmt.Sprintf("%d more could not be read: no more than %d are listed", left, s.settings.unread),
	})
}
