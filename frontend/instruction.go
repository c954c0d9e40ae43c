// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
)

// maxInstruction bounds, in bytes, the text of an instruction that is told.
const maxInstruction = 400

// An instruction is a place in the Dockerfile.
type instruction struct {
	text string
	line int // from 1; 0: not known
}

// instructionOf is the instruction that an operation came from, in the words
// of the Dockerfile. Progress names and the image's history would have the
// values of build arguments in them. fallback is for what no line made.
func instructionOf(def *pb.Definition, op digest.Digest, fallback string) instruction {
	locations := def.Source.GetLocations()[op.String()].GetLocations()
	if len(locations) == 0 || len(locations[0].Ranges) == 0 {
		return instruction{text: fallback}
	}
	at := locations[0]
	if at.SourceIndex < 0 || int(at.SourceIndex) >= len(def.Source.Infos) {
		return instruction{text: fallback}
	}
	lines := bytes.Split(def.Source.Infos[at.SourceIndex].Data, []byte("\n"))
	first, last := int(at.Ranges[0].Start.GetLine()), int(at.Ranges[len(at.Ranges)-1].End.GetLine())
	if first < 1 || last < first || last > len(lines) {
		return instruction{text: fallback}
	}
	return instruction{text: joined(lines[first-1 : last]), line: first}
}

// joined makes one line of an instruction that goes over several.
func joined(lines [][]byte) string {
	var words []string
	for _, line := range lines {
		text := strings.TrimSpace(string(line))
		if len(lines) > 1 && strings.HasPrefix(text, "#") {
			continue
		}
		text = strings.TrimSuffix(text, `\`)
		words = append(words, strings.Fields(text)...)
	}
	return strings.Join(words, " ")
}

// shorten cuts text to what is told, between two characters.
func shorten(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= maxInstruction {
		return text
	}
	cut := maxInstruction - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
