// SPDX-License-Identifier: Apache-2.0

package trust

import "time"

// ReportSchema names the JSON of a Report.
const ReportSchema = "https://plombproject.github.io/trust/v1"

// A Report is what is to be said of the instances of a store at a time.
type Report struct {
	Schema string `json:"schema"`
	// Store is the folder.
	Store     string           `json:"store"`
	Time      time.Time        `json:"time"`
	Instances []InstanceReport `json:"instances"`
}

// InstanceReport is what is to be said of one.
type InstanceReport struct {
	Name string `json:"name"`
	// Usable says whether a verification would use it, and Reason why not.
	Usable bool   `json:"usable"`
	Reason string `json:"reason,omitempty"`
	// UsableUntil is when it gets too old unless it is updated, grace period
	// included. A file has no such time.
	UsableUntil time.Time `json:"usableUntil,omitzero"`
	// Warnings are for whoever looks after the machine.
	Warnings []string `json:"warnings"`
	// State is missing of a plain file.
	State *State `json:"state,omitempty"`
	// Contents are missing of what cannot be read.
	Contents *Contents `json:"contents,omitempty"`
}

// Report looks at the instances with these names. It always has something to
// say: what is wrong with one is in its report.
func (s Store) Report(names []string, now time.Time) *Report {
	r := &Report{Schema: ReportSchema, Store: s.Dir, Time: now.UTC().Truncate(time.Second), Instances: []InstanceReport{}}
	for _, name := range names {
		r.Instances = append(r.Instances, s.report(name, now))
	}
	return r
}

func (s Store) report(name string, now time.Time) InstanceReport {
	r := InstanceReport{Name: name, Warnings: []string{}}
	_, err := s.Load(name, now)
	if r.Usable = err == nil; !r.Usable {
		r.Reason = err.Error()
	}
	l, err := s.read(name)
	if err != nil {
		return r
	}
	if r.State = l.State; l.State != nil {
		warnings, _ := l.State.stale(name, now)
		r.Warnings = append(r.Warnings, warnings...)
		r.UsableUntil = l.State.UsableUntil()
	}
	if _, err := ParsePart(l.Data); err != nil {
		return r
	}
	if r.Contents, err = Describe(l.Data); err == nil {
		r.Warnings = append(r.Warnings, r.Contents.Warnings(now)...)
	}
	return r
}
