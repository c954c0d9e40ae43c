// SPDX-License-Identifier: Apache-2.0

package cue

import "fmt"

// A SyntaxError is one fault of a policy. It wraps ErrInvalid.
type SyntaxError struct {
	// Name is that which the policy was compiled under.
	Name string
	// Line and Column are from 1; 0 if the fault is one of the whole.
	Line, Column int
	Message      string
}

func (e *SyntaxError) Error() string {
	place := ""
	switch {
	case e.Column > 0:
		place = fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
	case e.Line > 0:
		place = fmt.Sprintf("line %d: ", e.Line)
	}
	return fmt.Sprintf("%v: %s%s%s", ErrInvalid, prefix(e.Name), place, e.Message)
}

func (e *SyntaxError) Unwrap() error { return ErrInvalid }

// Where and What are the place of the fault and what it is.
func (e *SyntaxError) Where() (line, column int) { return e.Line, e.Column }

func (e *SyntaxError) What() string { return e.Message }

func prefix(name string) string {
	if name == "" {
		return ""
	}
	return name + ": "
}
