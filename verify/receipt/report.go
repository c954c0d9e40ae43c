// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
)

// ReportSchema identifies the JSON form of a Report. Added members do not
// change it.
const ReportSchema = "https://plombproject.github.io/receipt-report/v1"

// maxFaults bounds a report: of a log that somebody rewrote, the first ones say
// enough.
const maxFaults = 1000

// A Report is what was found out about a log.
type Report struct {
	Schema string `json:"schema"`
	Dir    string `json:"dir"`
	// Files, Receipts and Bytes are how many were read.
	Files    int   `json:"files"`
	Receipts int   `json:"receipts"`
	Bytes    int64 `json:"bytes"`
	// First and Last are the times of the first and the last receipt, and Head
	// is the hash of the last.
	First *time.Time    `json:"first,omitempty"`
	Last  *time.Time    `json:"last,omitempty"`
	Head  digest.Digest `json:"head,omitempty"`
	// Checkpoints is how many agree with the log, and Signed how many of them a
	// key that was given has signed.
	Checkpoints int `json:"checkpoints"`
	Signed      int `json:"signed"`
	// After is how many receipts came after the last of these checkpoints: of
	// those alone it would not show that there had been more.
	After int `json:"after"`
	// Faults are why the log is not what was written, Notes what is worth
	// knowing and is no fault.
	Faults []Fault `json:"faults"`
	Notes  []Fault `json:"notes"`
	// More is how many faults were left out.
	More int `json:"more,omitempty"`
}

// Sound tells that nothing speaks against the log.
func (r Report) Sound() bool { return len(r.Faults) == 0 }

// A Fault is what is wrong, and where. Line is counted from 1; 0 is the file as
// a whole.
type Fault struct {
	Code   string `json:"code"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Reason string `json:"reason"`
}

// Where is FILE:LINE.
func (f Fault) Where() string {
	if f.Line == 0 {
		return f.File
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}

// Codes of faults and notes.
const (
	CodeChain      = "chain"      // a line does not follow the one before
	CodeLine       = "line"       // a line is no receipt
	CodeMissing    = "missing"    // a file is not there
	CodeKind       = "kind"       // a file is a link, a folder or a device
	CodeTorn       = "torn"       // the end that a crash left
	CodeCheckpoint = "checkpoint" // a checkpoint that the log does not agree with
	CodeForeign    = "foreign"    // a file that is none of the log's
	CodeAccess     = "access"     // others than the owner can write
)

func (v *check) fault(f Fault) {
	if len(v.report.Faults) == maxFaults {
		v.report.More++
		return
	}
	v.report.Faults = append(v.report.Faults, f)
}

func (v *check) note(f Fault) {
	if len(v.report.Notes) < maxFaults {
		v.report.Notes = append(v.report.Notes, f)
	}
}
