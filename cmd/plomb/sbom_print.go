// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/documents"
)

// Widest cells of a table, in characters; what is longer is cut.
const (
	maxCell        = 60
	maxInstruction = 80
)

// printPackages writes a row for each package.
func printPackages(stdio Stdio, inv *sbom.Inventory) error {
	rows := [][]string{{"NAME", "VERSION", "TYPE", "LICENSE", "INSTRUCTION"}}
	for _, i := range inv.Items {
		rows = append(rows, []string{
			cut(i.Name, maxCell), cut(i.Version, maxCell), cut(i.Type, maxCell), cut(i.License, maxCell), cut(instruction(i.Origin), maxInstruction),
		})
	}
	return printTable(stdio, rows)
}

// instruction says where a package came from.
func instruction(o sbom.Origin) string {
	switch {
	case o.Base:
		return "(base image)"
	case o.Instruction != "" && o.Line > 0:
		return fmt.Sprintf("%d: %s", o.Line, o.Instruction)
	}
	return o.Instruction
}

func printFiles(stdio Stdio, files []documents.File) error {
	rows := [][]string{{"SHA256", "PATH"}}
	for _, f := range files {
		rows = append(rows, []string{cut(f.SHA256, 64), decision.OneLine(f.Path)})
	}
	return printTable(stdio, rows)
}

// printTable aligns rows; an empty cell is a dash. The first row is the head.
func printTable(stdio Stdio, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 1)
		}
	}
	out := bufio.NewWriter(stdio.Out)
	bold := newPage(stdio).colour
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&line, "%-*s  ", widths[i], cmp.Or(cell, "-"))
		}
		text := strings.TrimRight(line.String(), " ")
		if n == 0 && bold {
			text = "\x1b[1m" + text + "\x1b[0m"
		}
		fmt.Fprintln(out, text)
	}
	return out.Flush()
}

// cut makes a cell harmless for a terminal, and not too wide.
func cut(s string, width int) string {
	s = decision.OneLine(s)
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}
