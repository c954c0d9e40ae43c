// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/limit"
)

// ErrCheck reports a folder that cannot be checked: not there, not readable,
// no log. Nothing is known of it either way.
var ErrCheck = errors.New("the log cannot be checked")

// A Checker says what a log is checked against.
type Checker struct {
	// Keys are those that checkpoints may be signed with; with none, checkpoints
	// are compared with the log and nobody vouches for them.
	Keys []crypto.PublicKey
	// Against is a file of checkpoints that was kept elsewhere, besides those
	// in the folder; empty: none.
	Against string
}

// CheckLog verifies the log in dir against itself.
func CheckLog(dir string) (Report, error) { return Checker{}.Check(dir) }

// Check verifies the whole log in dir. What is wrong with it is in the report;
// an error is ErrCheck. Writers may go on meanwhile.
func (c Checker) Check(dir string) (Report, error) {
	v := &check{Checker: c, dir: dir, report: Report{Schema: ReportSchema, Dir: dir, Faults: []Fault{}, Notes: []Fault{}}}
	if err := v.run(); err != nil {
		return v.report, fmt.Errorf("%w: %w", ErrCheck, err)
	}
	return v.report, nil
}

// check is one run.
type check struct {
	Checker
	dir    string
	report Report
	// ends are the sizes of the files when the check began, signed that of the
	// file of checkpoints.
	ends   map[int]int64
	signed int64
	// wanted are the checkpoints by the place they are about.
	wanted map[spot][]placed
	// previous is the hash of the line before.
	previous digest.Digest
}

// A spot is behind a line.
type spot struct {
	file string
	end  int64
}

// placed is a checkpoint and where it was read.
type placed struct {
	Checkpoint
	file string
	line int
}

func (v *check) run() error {
	list, err := v.survey()
	if err != nil {
		return err
	}
	if err := v.readCheckpoints(); err != nil {
		return err
	}
	if len(list) == 0 && len(v.wanted) == 0 {
		return fmt.Errorf("there are no receipts in %s", v.dir)
	}
	next := 1
	for _, n := range list {
		for ; next < n; next++ {
			v.fault(Fault{Code: CodeMissing, File: fileName(next), Reason: "the file is not there"})
		}
		next = n + 1
		if err := v.file(n, n == list[len(list)-1]); err != nil {
			return err
		}
	}
	for at, list := range v.wanted { // nothing in the log was at that place
		for _, p := range list {
			v.fault(Fault{Code: CodeCheckpoint, File: p.file, Line: p.line, Reason: fmt.Sprintf(
				"on %s a receipt ended in %s at byte %d: the log was cut or changed", p.Time.UTC().Format(time.RFC3339), at.file, at.end)})
		}
	}
	return nil
}

// survey lists the files, and how long they are while no writer is at work.
func (v *check) survey() ([]int, error) {
	info, err := os.Lstat(v.dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder but %s", v.dir, kind(info))
	}
	if info.Mode().Perm()&0o022 != 0 {
		v.note(Fault{Code: CodeAccess, File: ".", Reason: fmt.Sprintf("others can write to the folder (mode %#o)", info.Mode().Perm())})
	}
	defer v.hold()()
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return nil, err
	}
	v.ends = map[int]int64{}
	var list []int
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Name() == checkpointName {
			v.signed = info.Size()
		}
		if n := v.entry(info); n > 0 {
			v.ends[n] = info.Size()
			list = append(list, n) // in order: ReadDir sorts by name
		}
	}
	return list, nil
}

// entry looks at one file of the folder and returns its number, if it has one.
func (v *check) entry(info fs.FileInfo) int {
	name := info.Name()
	n := numberOf(name)
	switch {
	case n == 0 && tornShape.MatchString(name):
		v.note(Fault{Code: CodeTorn, File: name, Reason: fmt.Sprintf("a crash left %d bytes that no receipt was made of; they were set aside", info.Size())})
	case n == 0 && name != lockName && name != checkpointName:
		v.note(Fault{Code: CodeForeign, File: name, Reason: "the file is none of the log's"})
	case !info.Mode().IsRegular():
		v.fault(Fault{Code: CodeKind, File: name, Reason: "it is no file but " + kind(info)})
		return 0
	case info.Mode().Perm()&0o022 != 0:
		v.note(Fault{Code: CodeAccess, File: name, Reason: fmt.Sprintf("others can write to it (mode %#o)", info.Mode().Perm())})
	}
	return n
}

// hold keeps writers away for as long as it takes to list the files. A copy of
// a log has no lock, and needs none.
func (v *check) hold() (release func()) {
	path := filepath.Join(v.dir, lockName)
	f, err := openAny(path)
	if err != nil {
		return func() {}
	}
	l := lock{file: f}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// Who cannot get it sees what a writer is about to write as torn, at worst.
	_ = l.acquire(ctx, v.dir, syscall.LOCK_SH)
	return l.close
}

// file reads one file of the log.
func (v *check) file(n int, last bool) error {
	name := fileName(n)
	f, err := openAny(filepath.Join(v.dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	v.report.Files++
	lines := newLines(io.LimitReader(f, v.ends[n]))
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		v.report.Bytes += line.size
		if !line.whole {
			v.torn(name, line, last)
			return nil
		}
		v.line(name, line)
	}
}

// torn tells of an end without a line feed.
func (v *check) torn(name string, l line, last bool) {
	f := Fault{Code: CodeTorn, File: name, Line: l.number, Reason: fmt.Sprintf("the file ends with %d bytes that are no whole line", l.size)}
	if last {
		f.Reason += "; the next receipt sets them aside"
		v.note(f)
		return
	}
	v.fault(f)
}

// line checks one line against the one before.
func (v *check) line(name string, l line) {
	previous := v.previous
	v.previous = l.hash
	defer v.compare(name, l)
	r, err := l.receipt()
	if err != nil {
		v.fault(Fault{Code: CodeLine, File: name, Line: l.number, Reason: err.Error()})
		return
	}
	v.report.Receipts++
	v.report.After++
	at := r.Time
	if v.report.First == nil {
		v.report.First = &at
	}
	v.report.Last, v.report.Head = &at, l.hash
	if r.Previous != previous {
		v.fault(Fault{Code: CodeChain, File: name, Line: l.number, Reason: fmt.Sprintf(
			"it follows a line with the hash %s, and the one before it has %s: lines were changed, removed, added or moved", none(r.Previous), none(previous))})
	}
}

func none(d digest.Digest) string {
	if d == "" {
		return "none"
	}
	return d.String()
}

// compare looks whether a checkpoint is about the place behind a line.
func (v *check) compare(name string, l line) {
	at := spot{name, l.end}
	for _, p := range v.wanted[at] {
		f := Fault{Code: CodeCheckpoint, File: p.file, Line: p.line}
		if p.Last != l.hash {
			f.Reason = fmt.Sprintf("it says that %s:%d had the hash %s, and it has %s: the log was changed", name, l.number, p.Last, l.hash)
			v.fault(f)
			continue
		}
		if len(v.Keys) > 0 {
			if err := p.verify(v.Keys); err != nil {
				f.Reason = err.Error()
				v.fault(f)
				continue
			}
			v.report.Signed++
		}
		v.report.Checkpoints++
		v.report.After = 0
	}
	delete(v.wanted, at)
}

// readCheckpoints reads those of the folder, and those that were kept.
func (v *check) readCheckpoints() error {
	v.wanted = map[spot][]placed{}
	own := filepath.Join(v.dir, checkpointName)
	info, err := os.Lstat(own)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.Mode().IsRegular(): // entry has told of anything else
		if err := v.checkpointsIn(own, checkpointName, v.signed); err != nil {
			return err
		}
	}
	if v.Against == "" {
		return nil
	}
	return v.checkpointsIn(v.Against, v.Against, maxCheckpoints)
}

func (v *check) checkpointsIn(path, name string, end int64) error {
	data, err := limit.ReadFile(path, maxCheckpoints)
	if err != nil {
		return err
	}
	data = data[:min(end, int64(len(data)))]
	number := 0
	for text := range bytes.Lines(data) {
		number++
		text, whole := bytes.CutSuffix(text, []byte("\n"))
		if !whole { // the next one says the same, and is signed
			v.note(Fault{Code: CodeTorn, File: name, Line: number, Reason: "the last checkpoint is no whole line"})
			continue
		}
		c, err := Checkpoint{}, error(errCheckpoint)
		if len(text) <= maxCheckpoint {
			c, err = parseCheckpoint(text)
		}
		if err != nil {
			v.fault(Fault{Code: CodeCheckpoint, File: name, Line: number, Reason: err.Error()})
			continue
		}
		at := spot{c.File, c.Offset}
		v.wanted[at] = append(v.wanted[at], placed{c, name, number})
	}
	return nil
}
