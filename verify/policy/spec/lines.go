// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Lines is where a text that is written as a block (YAML's |) stands in its
// file, so that a fault in it has a place in the file. It is zero for a text
// that is written otherwise, whose lines are not those of the file.
type Lines struct {
	file string
	// first is the line in the file of the first line of the text.
	first int
	// indents are the blanks before each line.
	indents []int
}

// Place is the file:line of a line of the text and the column in the file of a
// column of that line, all from 1.
func (l Lines) Place(line, column int) (at Origin, inFile int, ok bool) {
	if line < 1 || line > len(l.indents) {
		return "", 0, false
	}
	return Origin(fmt.Sprintf("%s:%d", l.file, l.first+line-1)), column + l.indents[line-1], true
}

// lines finds the block under one of the names in a mapping. Line by line it has
// to be what the file says: where it is not, nothing is claimed.
func (d *decoder) lines(n *yaml.Node, names []string) Lines {
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := n.Content[i+1]
		if !slices.Contains(names, n.Content[i].Value) || value.Kind != yaml.ScalarNode || value.Style&yaml.LiteralStyle == 0 {
			continue
		}
		l := Lines{file: d.file, first: value.Line + 1}
		for j, line := range strings.Split(strings.TrimRight(value.Value, "\n"), "\n") {
			at := value.Line + j // from 0
			if at >= len(d.text) {
				return Lines{}
			}
			blanks, ok := strings.CutSuffix(d.text[at], line)
			if !ok || strings.Trim(blanks, " ") != "" {
				return Lines{}
			}
			l.indents = append(l.indents, len(blanks))
		}
		return l
	}
	return Lines{}
}

var yamlLine = regexp.MustCompile(`\A(?:yaml: )?line (\d+): (?s:(.*))\z`)

// broken says what is no YAML as other faults are said, place first.
func (d *decoder) broken(err error) error {
	text, at, line := err.Error(), d.file, 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	// The line is that of the structure around the fault: a tab may stand a bit
	// further down.
	for i := max(line-2, 0); i < min(line+2, len(d.text)); i++ {
		if blanks := d.text[i][:len(d.text[i])-len(strings.TrimLeft(d.text[i], " \t"))]; strings.Contains(blanks, "\t") {
			line, text = i+1, text+": indent with spaces, not with tabs"
			break
		}
	}
	if line > 0 {
		at = fmt.Sprintf("%s:%d", d.file, line)
	}
	return fmt.Errorf("%w: %s: %s", ErrInvalid, at, strings.TrimPrefix(text, "yaml: "))
}
