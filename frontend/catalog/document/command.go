// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/spdx"
)

// Main is the helper: it writes the documents from the reports it is given.
func Main(context.Context) error {
	return answer(outDir, write(specDir, reportsDir, outDir))
}

// answer turns a refusal into an answer: of a helper that failed, the frontend
// learns nothing but that it did.
func answer(to string, err error) error {
	if !errors.Is(err, spdx.ErrTooLarge) {
		return err
	}
	return writeSummary(to, Summary{Refused: err.Error()})
}

func writeSummary(to string, s Summary) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, summaryFile), data, 0o644)
}

func write(from, reports, to string) error {
	spec, err := readSpec(filepath.Join(from, specFile))
	if err != nil {
		return err
	}
	looks, err := openLooks(reports, len(spec.Layers))
	defer looks.close()
	if err != nil {
		return err
	}
	inventory, err := merge(*spec, looks.reports)
	if err != nil {
		return err
	}
	var summary Summary
	var list *sbom.Document
	if spec.Files {
		if list, err = looks.writeFiles(filepath.Join(to, FilesFile), spec.Image, inventory, &summary); err != nil {
			return err
		}
	}
	packages, err := spdx.Packages(inventory, spec.Image, list)
	if err != nil {
		return err
	}
	summary.Packages = digest.FromBytes(packages)
	if err := os.WriteFile(filepath.Join(to, PackagesFile), packages, 0o644); err != nil {
		return err
	}
	return writeSummary(to, summary)
}

func readSpec(name string) (*Spec, error) {
	data, err := limit.ReadFile(name, maxSpec)
	if err != nil {
		return nil, err
	}
	var spec Spec
	if err := strictjson.Unmarshal(data, &spec); err != nil {
		return nil, fmt.Errorf("read the description of the image: %w", err)
	}
	return &spec, nil
}

// looks are the reports of all layers, in their order.
type looks struct {
	reports []*sbom.Report
	files   []*os.File // the lists of files; nil for a look that found none
}

func openLooks(dir string, count int) (*looks, error) {
	l := &looks{}
	for i := range count {
		at := filepath.Join(dir, strconv.Itoa(i))
		data, err := limit.ReadFile(filepath.Join(at, catalog.ReportFile), catalog.MaxReport)
		if err != nil {
			return l, err
		}
		report, err := catalog.ReadReport(data)
		if err != nil {
			return l, err
		}
		f, err := os.Open(filepath.Join(at, catalog.FilesFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return l, err
		}
		l.reports, l.files = append(l.reports, report), append(l.files, f)
	}
	return l, nil
}

func (l *looks) close() {
	for _, f := range l.files {
		if f != nil {
			f.Close()
		}
	}
}

// writeFiles writes the document that lists files.
func (l *looks) writeFiles(name string, img sbom.Image, inventory *sbom.Inventory, summary *Summary) (*sbom.Document, error) {
	layers := make([]sbom.FileLayer, len(l.reports))
	for i, r := range l.reports {
		layers[i].Gone = r.Gone
		if l.files[i] != nil {
			layers[i].Files = catalog.ReadFiles(l.files[i])
		}
	}
	out, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	buffered, sum := bufio.NewWriterSize(out, 1<<20), sha256.New()
	doc, err := spdx.Files(img, inventory, sbom.MergeFiles(layers), io.MultiWriter(buffered, sum))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(buffered.Flush(), out.Close()); err != nil {
		return nil, err
	}
	summary.Files = digest.NewDigest(digest.SHA256, sum)
	return doc, nil
}
