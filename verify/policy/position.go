// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// A textFault is a fault in a text in another language: CEL, CUE or Rego.
type textFault interface {
	error
	// Where is the place in the text, from 1; line 0 is the text as a whole.
	Where() (line, column int)
	// What is the fault without its place.
	What() string
}

// inText says where in the file a fault in a text is: lines is where the text
// stands, and at what it belongs to. Where the lines of the text are not those
// of the file, the line is that of the text, and called so.
func inText(at spec.Origin, lines spec.Lines, err error) (spec.Origin, error) {
	var fault textFault
	if !errors.As(err, &fault) {
		return at, err
	}
	kind := errors.Unwrap(fault)
	line, column := fault.Where()
	if place, inFile, ok := lines.Place(line, column); ok {
		if column < 1 {
			return place, fmt.Errorf("%w: %s", kind, fault.What())
		}
		return place, fmt.Errorf("%w: column %d: %s", kind, inFile, fault.What())
	}
	switch {
	case line < 1:
		return at, fmt.Errorf("%w: %s", kind, fault.What())
	case column < 1:
		return at, fmt.Errorf("%w: line %d of the rule: %s", kind, line, fault.What())
	}
	return at, fmt.Errorf("%w: line %d of the rule, column %d: %s", kind, line, column, fault.What())
}
