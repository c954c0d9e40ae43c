// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/plombproject/plomb/provenance/sbom"
)

// contexts is how a comment tells the generation context of CISA's minimum
// elements (2025): when in the life of the software its SBOM was made.
var contexts = map[string]string{sbom.GenerationBuild: "Generation context: build."}

// A stamp is who wrote a document, and when.
type stamp struct {
	tool   string // NAME-VERSION
	author string // "" or Organization: X or Person: X
	date   string
	// generation is what the comment says of it.
	generation string
}

func newStamp(img sbom.Image) stamp {
	tool := strings.ReplaceAll(sbom.Text(img.Tool, sbom.MaxName), " ", "-")
	if tool == "" {
		tool = "plomb"
	}
	if img.Created == sbom.Undated {
		img.Created = 0 // SPDX has no document without a time
	}
	return stamp{
		tool: tool, author: img.Author, generation: contexts[img.Generation],
		// SPDX 2.3, 6.9: YYYY-MM-DDThh:mm:ssZ.
		date: time.Unix(img.Created, 0).UTC().Format("2006-01-02T15:04:05Z"),
	}
}

func (s stamp) creationInfo() *v2_3.CreationInfo {
	info := &v2_3.CreationInfo{
		Creators:       []common.Creator{{CreatorType: "Tool", Creator: s.tool}},
		Created:        s.date,
		CreatorComment: s.generation,
	}
	if kind, name := sbom.Agent(s.author); kind != "" {
		info.Creators = append(info.Creators, common.Creator{CreatorType: kind, Creator: name})
	}
	return info
}

// annotation is a note in JSON; docs/sbom.md has its members.
func (s stamp) annotation(note any) []v2_3.Annotation {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // the document escapes it once; twice is unreadable
	if enc.Encode(note) != nil || out.String() == "{}\n" {
		return nil
	}
	return []v2_3.Annotation{{
		Annotator:         common.Annotator{AnnotatorType: "Tool", Annotator: s.tool},
		AnnotationDate:    s.date,
		AnnotationType:    "OTHER",
		AnnotationComment: strings.TrimSuffix(out.String(), "\n"),
	}}
}

// encode is encoding/json's form, which is what exporters write again.
func encode(v any) ([]byte, error) { return json.Marshal(v) }

// namespace names a document by its bytes with an empty namespace.
func namespace(data []byte) string {
	sum := sha256.Sum256(data)
	return Namespace + hex.EncodeToString(sum[:])
}
