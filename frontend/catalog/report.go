// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance/sbom"
)

// The files of a report.
const (
	ReportFile = "packages.json" // sbom.Report
	FilesFile  = "files.ndjson"  // one sbom.File a line, sorted by path; only at the level of files
)

// ErrReport is returned for a report that Write has not written.
var ErrReport = errors.New("not a report of the catalogue")

// Write writes the report into dir, which may come from a container: no link
// leads out of it.
func (r *Result) Write(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("write the catalogue: %w", err)
	}
	defer root.Close()
	data, err := json.Marshal(r.Report)
	if err != nil {
		return fmt.Errorf("write the catalogue: %w", err)
	}
	if len(data) > MaxReport {
		return fmt.Errorf("write the catalogue: %w: %d bytes, of which %d would be read", limit.ErrTooLarge, len(data), MaxReport)
	}
	if err := root.WriteFile(ReportFile, data, 0o644); err != nil {
		return fmt.Errorf("write the catalogue: %w", err)
	}
	if r.Files == nil {
		return nil
	}
	if err := r.writeFiles(root); err != nil {
		return fmt.Errorf("write the catalogue: %w", err)
	}
	return nil
}

func (r *Result) writeFiles(root *os.Root) error {
	f, err := root.Create(FilesFile)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 256<<10)
	enc := json.NewEncoder(out)
	for _, file := range r.Files {
		if err := enc.Encode(file); err != nil {
			f.Close()
			return err
		}
	}
	return errors.Join(out.Flush(), f.Close())
}

// ReadReport reads what Write wrote as ReportFile, and nothing else: the bytes
// must be the very ones that Write would write of the same report. That leaves
// no room for unknown fields, repeated keys, or a second way to read them.
func ReadReport(data []byte) (*sbom.Report, error) {
	if len(data) > MaxReport {
		return nil, fmt.Errorf("%w: %w: more than %d bytes", ErrReport, limit.ErrTooLarge, MaxReport)
	}
	var report sbom.Report
	if err := json.Unmarshal(data, &report); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	again, err := json.Marshal(report)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	if !bytes.Equal(data, again) {
		return nil, fmt.Errorf("%w: not in the form that it is written in", ErrReport)
	}
	if err := validate(&report); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	return &report, nil
}

func validate(r *sbom.Report) error {
	packages := 0
	for i, f := range r.Findings {
		if i > 0 && f.Path <= r.Findings[i-1].Path {
			return fmt.Errorf("findings: %q is not sorted", f.Path)
		}
		if err := validPath(f.Path); err != nil {
			return fmt.Errorf("findings: %w", err)
		}
		for _, p := range f.Packages {
			if p.Type == "" || p.Name == "" {
				return fmt.Errorf("findings: %q: a package without a type or name", f.Path)
			}
		}
		if packages += len(f.Packages); packages > maxPackages {
			return fmt.Errorf("findings: more than %d packages", maxPackages)
		}
	}
	for i, p := range r.Gone {
		if i > 0 && p <= r.Gone[i-1] {
			return fmt.Errorf("gone: %q is not sorted", p)
		}
		if err := validPath(p); err != nil {
			return fmt.Errorf("gone: %w", err)
		}
	}
	for _, u := range r.Unread {
		if err := validPath(u.Path); err != nil {
			return fmt.Errorf("unread: %w", err)
		}
		if u.Reason == "" || u.Reason != text1(u.Reason, maxReason) {
			return fmt.Errorf("unread: %q: the reason is not one line of at most %d bytes", u.Path, maxReason)
		}
	}
	if r.Files < 0 {
		return fmt.Errorf("files: %d", r.Files)
	}
	return nil
}

// validPath accepts absolute paths as sbom.Path writes them.
func validPath(p string) error {
	if !strings.HasPrefix(p, "/") || strings.IndexByte(p, 0) >= 0 || len(p) > 4*maxPath {
		return fmt.Errorf("%.100q is not an absolute path", p)
	}
	return nil
}

// ReadFiles reads what Write wrote as FilesFile, line by line, as strictly as
// ReadReport. It ends with the first error.
func ReadFiles(r io.Reader) iter.Seq2[sbom.File, error] {
	return func(yield func(sbom.File, error) bool) {
		lines := bufio.NewReaderSize(r, maxLine)
		last := ""
		for {
			line, err := lines.ReadSlice('\n')
			if err == io.EOF && len(line) == 0 {
				return
			}
			var file sbom.File
			if err == nil {
				file, err = readFile(line, last)
			}
			if err != nil {
				yield(sbom.File{}, fmt.Errorf("%w: after %.100q: %w", ErrReport, last, err))
				return
			}
			last = file.Path
			if !yield(file, nil) {
				return
			}
		}
	}
}

func readFile(line []byte, last string) (sbom.File, error) {
	var file sbom.File
	if err := json.Unmarshal(line, &file); err != nil {
		return file, err
	}
	again, err := json.Marshal(file)
	switch {
	case err != nil:
		return file, err
	case !bytes.Equal(line[:len(line)-1], again):
		return file, errors.New("not in the form that it is written in")
	case file.Path <= last:
		return file, errors.New("the next is not sorted")
	case !isHex(file.SHA1, 40) || !isHex(file.SHA256, 64) || file.Size < 0:
		return file, errors.New("no digest, or no size")
	}
	return file, validPath(file.Path)
}

func isHex(text string, length int) bool {
	return len(text) == length && strings.Trim(text, "0123456789abcdef") == ""
}
