// SPDX-License-Identifier: Apache-2.0

// Package syntax has what the compilers of policy languages say of a source that
// they refuse: the fault and its place in the source. It knows no language.
package syntax

import "fmt"

// An Error is one fault of a source. It wraps Kind.
type Error struct {
	// Kind is the sentinel of the language.
	Kind error
	// Name is that which the source was compiled under.
	Name string
	// Line and Column are from 1; 0 if the fault is one of the whole.
	Line, Column int
	Message      string
}

func (e *Error) Error() string {
	place := ""
	switch {
	case e.Column > 0:
		place = fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
	case e.Line > 0:
		place = fmt.Sprintf("line %d: ", e.Line)
	}
	return fmt.Sprintf("%v: %s%s%s", e.Kind, prefix(e.Name), place, e.Message)
}

func (e *Error) Unwrap() error { return e.Kind }

// Where and What are the place of the fault and what it is.
func (e *Error) Where() (line, column int) { return e.Line, e.Column }

func (e *Error) What() string { return e.Message }

func prefix(name string) string {
	if name == "" {
		return ""
	}
	return name + ": "
}
